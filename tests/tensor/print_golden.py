#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# print_golden.py: writes tests/tensor/print_golden.hpp, what NumPy's str makes of arrays. Made with NumPy 2.4.
import pathlib
import numpy as np

rng = np.random.default_rng(20261123)
cases = []


def add(array):
    cases.append((array, None))


def ramp(dtype, shape, scale=1.0, offset=0.0):  # x[i] = i * scale + offset, too long to write down
    n = int(np.prod(shape))
    cases.append(((np.arange(n, dtype=np.float64) * scale + offset).astype(dtype).reshape(shape), (scale, offset)))


for t in (np.float32, np.float64, np.float16):
    add(np.array([1, 2, 3], t))
    add(np.array([1, 2.5, -3.25], t))
    add(np.array([0.1, 0.2, 0.3], t))
    add(np.array([1 / 3, 2 / 3, 1], t))
    add(np.array([[1 / 3, 100], [-0.001, 7]], t))
    add(np.array([0.0, -0.0], t))
    add(np.array([np.nan, 1, np.inf], t))
    add(np.array([-np.inf, np.nan], t))
    add(np.array([1e-3, 1], t))
    add(np.array([0.5, 999.5], t))
    add(np.array([0.25, 1025], t))
    add(np.array(0.1, t))
    add(np.array(-2, t))
    add(rng.standard_normal((3, 4)).astype(t))
    add((rng.standard_normal((5, 5)) * 100).astype(t))
    add(np.array([[np.nan, 0.125], [3, -np.inf]], t))
for t in (np.float32, np.float64):
    add(np.array([1e-5, 1], t))
    add(np.array([1e10, 1], t))
    add(np.array([999999, 0.5e6], t))
    add(np.array([1000000, 1e6 + 1], t))
    add(np.array([99999999.0, 12345678.0], t))
    add(np.array([1e8, 3e8], t))
    add(np.array([1e-30, 1e30, -1.5], t))
    add(np.array([1e20, np.nan, -np.inf], t))
    add(np.array([0.1, 12345.678], t))
    add(np.array([123456.7891, 1000.25], t))
    add(np.array([0.123456789012, 0.99999999999], t))
    add(np.array([0.000123456789, 0.0001], t))
    for x in (1e16, 1e15, 123456789.125, 1e-4, 9e-5, 1e22, 1 / 3, np.nan, -np.inf, 0.0, 1e-30):
        add(np.array(x, t))
    add(rng.standard_normal((2, 3, 4)).astype(t))
    add(np.exp(rng.standard_normal(12) * 6).astype(t))
    add(rng.random(30).astype(t))
    add(rng.random((2, 20)).astype(t))
    ramp(t, (1001,))
    ramp(t, (1000,), 0.5, -3)
    ramp(t, (40, 40), 0.25, 0.125)
    ramp(t, (12, 10, 11), 1.0, -600.0)
    ramp(t, (2, 2, 2, 300), 0.001, 0.0)
add(np.array([1e300, 1e-300, 5e-324]))
add(np.array([1e100, 1]))
for x in (999, 1000, 65504, 9e-5):
    add(np.array(x, np.float16))
for x in (999999, 1e6, 1234567, 16777216):
    add(np.array(x, np.float32))
for t in (np.int64, np.int32, np.uint8):
    add(np.array([1, 2, 3], t))
    add(np.array([[1, 100], [20, 3]], t))
    add(np.array(7, t))
    add(np.arange(24, dtype=t).reshape(2, 3, 4))
    add(np.arange(60, dtype=t))
    add(np.arange(16, dtype=t).reshape(2, 2, 2, 2))
add(np.array([-5, 100, 0]))
add(np.array([-1000000000000, 3]))
ramp(np.int64, (2000,))
ramp(np.int32, (7, 500))
ramp(np.int64, (1500, 2))
add(np.array([True, False]))
add(np.array([[True, True], [False, True]]))
add(np.array(True))
add(np.array(False))
add(np.zeros((0,)))
add(np.zeros((2, 0, 3)))
add(np.zeros((1, 1, 1, 1, 1, 1, 1, 1)))

names = {"float32": "f32", "float64": "f64", "float16": "f16", "int64": "i64", "int32": "i32", "uint8": "u8",
         "bool": "boolean"}


def number(x):
    if np.isnan(x):
        return "NAN"
    if np.isinf(x):
        return "-HUGE_VAL" if x < 0 else "HUGE_VAL"
    return float(x).hex()


lines = ["// SPDX-License-Identifier: Apache-2.0", "// Written by print_golden.py: arrays and NumPy's text of them.",
         "#pragma once", "#include <tenon/tensor/any_tensor.hpp>", "#include <cmath>", "#include <vector>", "",
         "namespace golden {", "",
         "/// Without values, x[i] = i * scale + offset.", "struct Case {", "  tenon::Dtype dtype;",
         "  tenon::Extents extents;", "  std::vector<double> values;", "  double scale, offset;", "  const char* text;",
         "};", "", "inline const std::vector<Case> cases = {"]
for a, formula in cases:
    shape = ", ".join(map(str, a.shape))
    values = "" if formula else ", ".join(number(x) for x in a.ravel())
    scale, offset = formula or (0.0, 0.0)
    text = str(a).replace("\n", "\\n\"\n     \"")
    lines += [f"    {{tenon::Dtype::{names[a.dtype.name]}, {{{a.ndim}, {{{shape}}}}}, {{{values}}},",
              f"     {scale!r}, {offset!r},", f"     \"{text}\"}},"]
lines += ["};", "", "}  // namespace golden", ""]
pathlib.Path(__file__).with_suffix(".hpp").write_text("\n".join(lines))
print(len(cases), "cases")
