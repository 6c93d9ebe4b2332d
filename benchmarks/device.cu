// SPDX-License-Identifier: Apache-2.0
// Statements on a CUDA device against kernels written by hand, taking turns in one run, with what
// the device's memory and cuBLAS can do beside them. Prints a table; tests/gpu_check.sh runs it.
// Times are medians of rounds. ratio: by hand / tenon, the more, the better for tenon.
#include <tenon/cuda.hpp>
#include <tenon/tenon.hpp>

#include <cublas_v2.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <vector>

using namespace tenon;

namespace {

// ---- by hand ----

__device__ float statement(float a, float x, float b, float c, float d) {
  return tanhf(a * x + b) * (1 / (1 + expf(-c))) + d;
}
__global__ void hand_forward(const float4* a, const float4* x, const float4* b, const float4* c,
                             const float4* d, float4* y, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  const float4 p = a[i], q = x[i], r = b[i], s = c[i], t = d[i];
  y[i] = float4{statement(p.x, q.x, r.x, s.x, t.x), statement(p.y, q.y, r.y, s.y, t.y),
                statement(p.z, q.z, r.z, s.z, t.z), statement(p.w, q.w, r.w, s.w, t.w)};
}
__device__ void slopes(float a, float x, float b, float c, float dy, float* g) {
  const float t = tanhf(a * x + b), s = 1 / (1 + expf(-c)), du = dy * s * (1 - t * t);
  g[0] = du * x, g[1] = du * a, g[2] = du, g[3] = dy * t * s * (1 - s), g[4] = dy;
}
__global__ void hand_backward(const float4* a, const float4* x, const float4* b, const float4* c,
                              const float4* dy, float4* da, float4* dx, float4* db, float4* dc,
                              int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  const float4 p = a[i], q = x[i], r = b[i], s = c[i], t = dy[i];
  float g[4][5];
  slopes(p.x, q.x, r.x, s.x, t.x, g[0]), slopes(p.y, q.y, r.y, s.y, t.y, g[1]);
  slopes(p.z, q.z, r.z, s.z, t.z, g[2]), slopes(p.w, q.w, r.w, s.w, t.w, g[3]);
  da[i] = float4{g[0][0], g[1][0], g[2][0], g[3][0]};
  dx[i] = float4{g[0][1], g[1][1], g[2][1], g[3][1]};
  db[i] = float4{g[0][2], g[1][2], g[2][2], g[3][2]};
  dc[i] = float4{g[0][3], g[1][3], g[2][3], g[3][3]};
}
// One warp a row, its elements in registers.
template <int PerLane>
__global__ void hand_softmax(const float* x, float* y, int rows) {
  const int row = blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32, lane = threadIdx.x % 32;
  if (row >= rows) return;
  const float4* from = reinterpret_cast<const float4*>(x + row * PerLane * 32);
  float4 e[PerLane / 4];
  float most = -INFINITY, sum = 0;
  for (int k = 0; k < PerLane / 4; ++k) {
    e[k] = from[k * 32 + lane];
    most = fmaxf(most, fmaxf(fmaxf(e[k].x, e[k].y), fmaxf(e[k].z, e[k].w)));
  }
  for (int s = 16; s > 0; s /= 2) most = fmaxf(most, __shfl_xor_sync(~0u, most, s));
  for (int k = 0; k < PerLane / 4; ++k) {
    e[k] =
        float4{expf(e[k].x - most), expf(e[k].y - most), expf(e[k].z - most), expf(e[k].w - most)};
    sum += e[k].x + e[k].y + e[k].z + e[k].w;
  }
  for (int s = 16; s > 0; s /= 2) sum += __shfl_xor_sync(~0u, sum, s);
  float4* to = reinterpret_cast<float4*>(y + row * PerLane * 32);
  for (int k = 0; k < PerLane / 4; ++k)
    to[k * 32 + lane] = float4{e[k].x / sum, e[k].y / sum, e[k].z / sum, e[k].w / sum};
}
__global__ void hand_bias_relu(float4* y, const float4* b, int columns, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  const float4 p = y[i], q = b[i % columns];
  y[i] = float4{fmaxf(p.x + q.x, 0), fmaxf(p.y + q.y, 0), fmaxf(p.z + q.z, 0), fmaxf(p.w + q.w, 0)};
}

// ---- measuring ----

using Work = std::function<void()>;

double seconds(const Work& f, int times) {
  synchronize(cuda(0));
  cudaDeviceSynchronize();
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < times; ++i) f();
  synchronize(cuda(0));
  cudaDeviceSynchronize();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() / times;
}
double median(std::vector<double> x) {
  std::nth_element(x.begin(), x.begin() + x.size() / 2, x.end());
  return x[x.size() / 2];
}
double device_bandwidth = 0;  // bytes a second, of a copy on the device: read and written

// amount: bytes moved, or operations where `products`.
void row(const char* name, double amount, bool products, const Work& ours, const Work& hand) {
  const int times = std::max(1, static_cast<int>(4e-3 / std::max(seconds(ours, 3), 1e-6)));
  std::vector<double> a, b, ratio;
  for (int round = 0; round < 15; ++round) {
    a.push_back(seconds(ours, times));
    if (!hand) continue;
    b.push_back(seconds(hand, times));
    ratio.push_back(b.back() / a.back());
  }
  const double t = median(a);
  std::printf("%-34s %9.1f us", name, t * 1e6);
  if (hand) {
    std::sort(ratio.begin(), ratio.end());
    std::printf("  by hand %9.1f us  ratio %.2f (%.2f to %.2f)", median(b) * 1e6,
                ratio[ratio.size() / 2], ratio[ratio.size() / 4], ratio[ratio.size() * 3 / 4]);
  }
  if (products) std::printf("  %.1f TFLOP/s", amount / t * 1e-12);
  else if (amount > 0)
    std::printf("  %.0f GB/s, %.0f %% of a copy", amount / t * 1e-9,
                100 * amount / t / device_bandwidth);
  std::printf("\n");
  std::fflush(stdout);
}

using Flat = Tensor<float, Shape<dyn>>;
using Matrix = Tensor<float, Shape<dyn, dyn>>;
struct Leaves {
  Flat a, x, b, c, d;
};

float* at(const AnyTensor& t) { return static_cast<float*>(t.get()->data); }
const float4* four(const AnyTensor& t) { return reinterpret_cast<const float4*>(at(t)); }
float4* four_to(const AnyTensor& t) { return reinterpret_cast<float4*>(at(t)); }

void statements() {
  const Index n = 16 << 20;
  const int quads = static_cast<int>(n / 4);
  Rng rng(1);
  const Shape<dyn> shape{n};
  const Leaves l = to(Leaves{normal(rng, shape), normal(rng, shape), normal(rng, shape),
                             normal(rng, shape), normal(rng, shape)},
                      cuda(0));
  const AnyTensor y = AnyTensor::empty(Dtype::f32, Extents{1, {n}}, cuda(0));
  row(
      "statement forward, 16 M", 24.0 * n, false,
      [&] { Tensor r = tanh(l.a * l.x + l.b) * sigmoid(l.c) + l.d; },
      [&] {
        hand_forward<<<(quads + 255) / 256, 256>>>(four(l.a), four(l.x), four(l.b), four(l.c),
                                                   four(l.d), four_to(y), quads);
      });
  const AnyTensor dy = ones(Dtype::f32, Extents{1, {n}}).to(cuda(0));
  AnyTensor g[4];
  for (AnyTensor& t : g) t = AnyTensor::empty(Dtype::f32, Extents{1, {n}}, cuda(0));
  row(
      "statement forward + backward, 16 M", (24.0 + 36.0) * n, false,
      [&] {
        Tape tape;
        Flat r = tanh(l.a * l.x + l.b) * sigmoid(l.c) + l.d;
        const AnyTensor of[] = {l.a.any(), l.x.any(), l.b.any(), l.c.any(), l.d.any()};
        AnyTensor out[5];
        tape.gradient(r.any(), of, out, dy);
      },
      [&] {
        hand_forward<<<(quads + 255) / 256, 256>>>(four(l.a), four(l.x), four(l.b), four(l.c),
                                                   four(l.d), four_to(y), quads);
        hand_backward<<<(quads + 255) / 256, 256>>>(four(l.a), four(l.x), four(l.b), four(l.c),
                                                    four(dy), four_to(g[0]), four_to(g[1]),
                                                    four_to(g[2]), four_to(g[3]), quads);
      });
}

void rows() {
  Rng rng(2);
  const Index count = 16384, n = 1024;
  const Matrix x = normal(rng, Shape<dyn, dyn>{count, n}).to(cuda(0));
  const AnyTensor y = AnyTensor::empty(Dtype::f32, Extents{2, {count, n}}, cuda(0));
  row(
      "softmax, 16384 rows of 1024", 8.0 * static_cast<double>(count * n), false,
      [&] { Tensor r = softmax(x, axis<-1>); },
      [&] { hand_softmax<32><<<16384 / 8, 256>>>(at(x), at(y), 16384); });
  row("softmax backward too", 20.0 * static_cast<double>(count * n), false,
      [&] {
        Tape tape;
        Matrix r = softmax(x, axis<-1>);
        const AnyTensor of[] = {x.any()};
        AnyTensor out[1];
        tape.gradient(r.any(), of, out, r.any());
      },
      {});
  row("sum of everything, 16 M", 4.0 * static_cast<double>(count * n), false,
      [&] { Tensor r = sum(x); }, {});
  row("sum over rows, 16384 rows", 4.0 * static_cast<double>(count * n), false,
      [&] { Tensor r = sum(x, axis<0>); }, {});
}

void products() {
  Rng rng(3);
  const Index n = 4096;
  const int k = static_cast<int>(n);
  const Matrix x = normal(rng, Shape<dyn, dyn>{n, n}).to(cuda(0)),
               w = normal(rng, Shape<dyn, dyn>{n, n}).to(cuda(0));
  const Flat b = normal(rng, Shape<dyn>{n}).to(cuda(0));
  const AnyTensor y = AnyTensor::empty(Dtype::f32, Extents{2, {n, n}}, cuda(0));
  cublasHandle_t blas;
  cublasCreate(&blas);
  const float one = 1, zero = 0;
  row(
      "relu(matmul(x, w) + b), 4096^3", 2.0 * n * n * n, true,
      [&] { Tensor r = relu(matmul(x, w) + b); },
      [&] {
        cublasSgemm(blas, CUBLAS_OP_N, CUBLAS_OP_N, k, k, k, &one, at(w), k, at(x), k, &zero, at(y),
                    k);
        hand_bias_relu<<<(k * k / 4 + 255) / 256, 256>>>(four_to(y), four(b), k / 4, k * k / 4);
      });
  cublasDestroy(blas);
}

struct Net {
  nn::Linear<784, 256> fc1;
  nn::Linear<256, 128> fc2;
  nn::Linear<128, 10> fc3;
  auto operator()(const auto& x) const { return fc3(relu(fc2(relu(fc1(x))))); }
};
struct Sample {
  Tensor<float, Shape<dyn, 784>> x;
  Tensor<std::int64_t, Shape<dyn>> label;
};
auto loss(const Net& net, const Sample& s) { return nn::cross_entropy(net(s.x), s.label); }

void training() {
  for (const Index batch : {Index{64}, Index{8192}}) {
    Rng rng(4);
    auto net = to(nn::init<Net>(rng), cuda(0));
    auto optimizer = optim::make(optim::Sgd{.lr = 0.01f, .momentum = 0.9f}, net);
    const Sample s =
        to(Sample{normal(rng, Shape<dyn, 784>{batch}), randint(rng, 0, 10, Shape<dyn>{batch})},
           cuda(0));
    const double flops = 6.0 * static_cast<double>(batch) * (784 * 256 + 256 * 128 + 128 * 10);
    const std::string name = "train step of an MLP, batch " + std::to_string(batch);
    row(name.c_str(), flops, true, [&] { train_step(net, optimizer, loss, s); }, {});
  }
}

}  // namespace

int main() {
  if (cuda_device_count() == 0) {
    std::puts("no CUDA device: nothing to measure");
    return 1;
  }
  cudaDeviceProp p{};
  cudaGetDeviceProperties(&p, 0);
  const Index n = 64 << 20;
  const AnyTensor from = zeros(Dtype::f32, Extents{1, {n}}).to(cuda(0)),
                  into = AnyTensor::empty(Dtype::f32, Extents{1, {n}}, cuda(0));
  std::vector<double> t;
  for (int i = 0; i < 15; ++i)
    t.push_back(
        seconds([&] { cudaMemcpyAsync(at(into), at(from), 4 * n, cudaMemcpyDeviceToDevice); }, 10));
  device_bandwidth = 8.0 * n / median(t);
  std::printf("device: %s, a copy moves %.0f GB/s\n", p.name, device_bandwidth * 1e-9);
  statements();
  rows();
  products();
  training();
}
