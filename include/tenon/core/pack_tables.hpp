// SPDX-License-Identifier: Apache-2.0
// Numbers behind the functions of packs: IEEE formats, split constants, polynomials.
#pragma once
#include <tenon/core/config.hpp>

#include <cstdint>

namespace tenon::inline TENON_ISA::scalar::detail {

/// What the functions need to know of an IEEE format. The polynomials were fitted for this file, by
/// Chebyshev interpolation with 60 digits, each to less than half a unit in the last place:
///   exp_tail  (e^r - 1 - r) / r^2 in r, |r| <= ln 2 / 2
///   log_tail  (2 artanh s - 2 s) / s^3 in s^2, |s| <= 3 - sqrt 8
///   sin_tail  (sin r - r) / r^3 and cos_tail (cos r - 1 + r^2/2) / r^4 in r^2, |r| <= pi / 4
template <class T>
struct Format;
template <>
struct Format<float> {
  static constexpr int mantissa = 23;
  static constexpr std::int32_t one = 0x3f800000, sign = INT32_MIN, root_half = 0x3f3504f3;
  static constexpr float magic =
      12582912.0f;  // 1.5 * 2^23: x + magic has round(x) in its last bits
  static constexpr std::int32_t magic_bits = 0x4b400000;
  static constexpr float exp_low = -104.0f, exp_high = 89.0f;  // beyond: 0 and infinity
  // ln 2 and pi/2 in parts; n times any but the last is exact for the n that occur.
  static constexpr float ln2_high = 0.693359375f, ln2_low = -2.12194440054690583e-4f;
  static constexpr float half_pi[] = {1.5703125f, 4.837512969970703125e-4f,
                                      7.549533620476722717285e-8f, 2.56334415159451879e-12f};
  static constexpr float turn_limit = 8192.0f;
  static constexpr double exp_tail[] = {0.50000000135387298866,   0.16666666681704215043,
                                        0.041666464197405692315,  0.0083333108446478625642,
                                        0.0013933730715792082502, 0.00019891080463998842039};
  static constexpr double log_tail[] = {0.66666666554454661, 0.40000121874506668307,
                                        0.28550816879376016312, 0.2333057432907242837};
  static constexpr double sin_tail[] = {-0.16666664539365846748, 0.0083327246137836933096,
                                        -0.00019582830678835800244};
  static constexpr double cos_tail[] = {0.041666664536321134229, -0.001388827933055691695,
                                        0.000024542871110870260969};
  // tanh(x) / x as a quotient of polynomials in x^2 up to where tanh rounds to 1, error 2.2e-8.
  static constexpr float tanh_one = 9.02f;
  static constexpr double tanh_above[] = {0.99999998094908778201, 0.13379737456684128607,
                                          0.0034940569247166098507, 0.000020583825124217353619,
                                          1.3319492718439354905e-8};
  static constexpr double tanh_below[] = {1.0, 0.46713052941154089582, 0.025871160066059023889,
                                          0.0003283128386023206083, 7.7622042711547033965e-7};
  // erf(x) / x - 1 in x^2 up to 1, and ln(1 - erf(x)) in x from 1 to 4.
  static constexpr double erf_near[] = {0.12837916584835094603,    -0.37612626666720331023,
                                        0.11283594715160217732,    -0.026854212010626412443,
                                        0.0051890874234339739861,  -0.00080168642871658695293,
                                        0.000078758750626854883411};
  static constexpr double erf_far[] = {
      0.00032013804967769883665, -1.1302334348419940295,      -0.6318260515591630143,
      -0.1100800829488202466,    0.026421136005663896682,     -0.0047595962932662646444,
      0.00059680562566077970634, -0.000046058042689189779247, 1.6371514145936435649e-6};
};
template <>
struct Format<double> {
  static constexpr int mantissa = 52;
  static constexpr std::int64_t one = 0x3ff0000000000000, sign = INT64_MIN;
  static constexpr std::int64_t root_half = 0x3fe6a09e667f3bcd;
  static constexpr double magic = 6755399441055744.0;
  static constexpr std::int64_t magic_bits = 0x4338000000000000;
  static constexpr double exp_low = -746.0, exp_high = 710.0;
  static constexpr double ln2_high = 6.93145751953125e-1, ln2_low = 1.42860682030941723212e-6;
  static constexpr double half_pi[] = {1.57079632673412561416626, 6.077100506303965976595549e-11,
                                       2.022266248711166455796e-21, 8.4784276603688996439587e-32};
  static constexpr double turn_limit = 1e6;
  static constexpr double exp_tail[] = {0.5,
                                        0.1666666666666667103,
                                        0.041666666666666669783,
                                        0.0083333333333260831202,
                                        0.0013888888888883711167,
                                        0.00019841269875002278793,
                                        0.0000248015873256774619,
                                        2.7557255170000887438e-6,
                                        2.7557273478718580474e-7,
                                        2.5105312729622101787e-8,
                                        2.09147553258932022e-9};
  static constexpr double log_tail[] = {0.66666666666666666465, 0.40000000000000877565,
                                        0.28571428570803255344, 0.22222222391794727509,
                                        0.18181795631498243603, 0.15386240172447836898,
                                        0.1326876056203672543,  0.13086757666952071267};
  static constexpr double sin_tail[] = {-0.16666666666666666665,    0.0083333333333333312588,
                                        -0.00019841269841264565895, 2.7557319218954762264e-6,
                                        -2.505210610025598923e-8,   1.6058510875319194913e-10,
                                        -7.5854864852359381405e-13};
  static constexpr double cos_tail[] = {0.041666666666666665227,    -0.0013888888888887241376,
                                        0.000024801587298532259045, -2.7557317151858864553e-7,
                                        2.0876121534608455566e-9,   -1.1380868171449913386e-11};
};

}  // namespace tenon::inline TENON_ISA::scalar::detail
