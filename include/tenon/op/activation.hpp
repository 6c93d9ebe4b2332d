// SPDX-License-Identifier: Apache-2.0
// Activation functions of neural networks.
#pragma once
#include <tenon/op/op.hpp>

namespace tenon::inline TENON_ISA::op {

/// y = tanh x.
struct Tanh {
  static constexpr const char* name = "tanh";
  static constexpr int arity = 1;
  static constexpr Domain domain = Domain::floating;
  static constexpr Result result = Result::same;
  static constexpr bool differentiable = true;
  static constexpr bool cheap = false;
  static constexpr Range range[1] = {{-8.0, 8.0}};
  static constexpr double ulp = 5;

  template <class V>
  TENON_INLINE static constexpr V forward(V x) {
    return tanh(x);
  }
  template <class V>
  TENON_INLINE static constexpr V backward(V, V y, V dy) {
    return dy * (V(1) - y * y);
  }
};

/// y = 1 / (1 + e^-x): 0 and 1 at the ends, never NaN.
struct Sigmoid {
  static constexpr const char* name = "sigmoid";
  static constexpr int arity = 1;
  static constexpr Domain domain = Domain::floating;
  static constexpr Result result = Result::same;
  static constexpr bool differentiable = true;
  static constexpr bool cheap = false;
  static constexpr Range range[1] = {{-8.0, 8.0}};
  static constexpr double ulp = 3;

  template <class V>
  TENON_INLINE static constexpr V forward(V x) {
    return V(1) / (V(1) + exp(-x));
  }
  template <class V>
  TENON_INLINE static constexpr V backward(V, V y, V dy) {
    return dy * y * (V(1) - y);
  }
};

/// y = x where x > 0, else 0; NaN of NaN. The slope at 0 is 0.
/// Source: Nair, Hinton, Rectified linear units improve restricted Boltzmann machines, 2010.
struct Relu {
  static constexpr const char* name = "relu";
  static constexpr int arity = 1;
  static constexpr Domain domain = Domain::any;
  static constexpr Result result = Result::same;
  static constexpr bool differentiable = true;
  static constexpr bool cheap = true;
  static constexpr Range range[1] = {{-8.0, 8.0}};
  static constexpr double ulp = 0;

  template <class V>
  TENON_INLINE static constexpr V forward(V x) {
    return select(x < V(0), V(0), x);
  }
  template <class V>
  TENON_INLINE static constexpr V backward(V, V y, V dy) {
    return select(y > V(0), dy, V(0));
  }
};

/// y = x Phi(x) = x (1 + erf(x / sqrt 2)) / 2.
/// Source: Hendrycks, Gimpel, Gaussian error linear units, 2016, section 2.
struct Gelu {
  static constexpr const char* name = "gelu";
  static constexpr int arity = 1;
  static constexpr Domain domain = Domain::floating;
  static constexpr Result result = Result::same;
  static constexpr bool differentiable = true;
  static constexpr bool cheap = false;
  static constexpr Range range[1] = {{-8.0, 8.0}};
  static constexpr double ulp = 4;
  static constexpr double absolute = 1e-6;

  template <class V>
  TENON_INLINE static constexpr V forward(V x) {
    return V(0.5) * x * (V(1) + erf(x * V(0.707106781186547524401)));
  }
  template <class V>
  TENON_INLINE static constexpr V backward(V x, V, V dy) {
    V phi = V(0.5) * (V(1) + erf(x * V(0.707106781186547524401)));
    V density = V(0.398942280401432677940) * exp(V(-0.5) * x * x);
    return dy * (phi + x * density);
  }
};

/// y = x (1 + tanh u) / 2 = x / (1 + e^-2u) with u = sqrt(2/pi) (x + 0.044715 x^3).
/// Source: Hendrycks, Gimpel, Gaussian error linear units, 2016, section 2.
struct GeluTanh {
  static constexpr const char* name = "gelu_tanh";
  static constexpr int arity = 1;
  static constexpr Domain domain = Domain::floating;
  static constexpr Result result = Result::same;
  static constexpr bool differentiable = true;
  static constexpr bool cheap = false;
  static constexpr Range range[1] = {{-8.0, 8.0}};
  static constexpr double ulp = 4;
  static constexpr double absolute = 1e-6;

  template <class V>
  TENON_INLINE static constexpr V forward(V x) {
    V u = V(0.797884560802865355880) * x * (V(1) + V(0.044715) * x * x);
    return x / (V(1) + exp(V(-2) * u));
  }
  template <class V>
  TENON_INLINE static constexpr V backward(V x, V, V dy) {
    V u = V(0.797884560802865355880) * x * (V(1) + V(0.044715) * x * x);
    V slope = V(0.797884560802865355880) * (V(1) + V(0.134145) * x * x);
    V e = exp(V(-2) * abs(u)), r = V(1) / (V(1) + e);
    V s = select(u < V(0), e * r, r);
    return dy * (s + x * V(2) * slope * e * r * r);
  }
};

/// y = x / (1 + e^-x); NaN only at -infinity and of NaN.
/// Source: Elfwing, Uchibe, Doya, Sigmoid-weighted linear units, 2018, eq. 2.
struct Silu {
  static constexpr const char* name = "silu";
  static constexpr int arity = 1;
  static constexpr Domain domain = Domain::floating;
  static constexpr Result result = Result::same;
  static constexpr bool differentiable = true;
  static constexpr bool cheap = false;
  static constexpr Range range[1] = {{-8.0, 8.0}};
  static constexpr double ulp = 3;

  template <class V>
  TENON_INLINE static constexpr V forward(V x) {
    return x / (V(1) + exp(-x));
  }
  template <class V>
  TENON_INLINE static constexpr V backward(V x, V, V dy) {
    V s = V(1) / (V(1) + exp(-x));
    return dy * s * (V(1) + x * (V(1) - s));
  }
};

/// y = ln(1 + e^x), without overflow.
/// Source: Dugas, Bengio, Belisle, Nadeau, Garcia, Incorporating second-order functional knowledge
/// for better option pricing, 2001.
struct Softplus {
  static constexpr const char* name = "softplus";
  static constexpr int arity = 1;
  static constexpr Domain domain = Domain::floating;
  static constexpr Result result = Result::same;
  static constexpr bool differentiable = true;
  static constexpr bool cheap = false;
  static constexpr Range range[1] = {{-8.0, 8.0}};
  static constexpr double ulp = 3;

  template <class V>
  TENON_INLINE static constexpr V forward(V x) {
    return max(x, V(0)) + log1p(exp(-abs(x)));
  }
  template <class V>
  TENON_INLINE static constexpr V backward(V x, V, V dy) {
    return dy / (V(1) + exp(-x));
  }
};

/// y = -ln(1 + e^-x), without overflow.
struct LogSigmoid {
  static constexpr const char* name = "log_sigmoid";
  static constexpr int arity = 1;
  static constexpr Domain domain = Domain::floating;
  static constexpr Result result = Result::same;
  static constexpr bool differentiable = true;
  static constexpr bool cheap = false;
  static constexpr Range range[1] = {{-8.0, 8.0}};
  static constexpr double ulp = 3;

  template <class V>
  TENON_INLINE static constexpr V forward(V x) {
    return min(x, V(0)) - log1p(exp(-abs(x)));
  }
  template <class V>
  TENON_INLINE static constexpr V backward(V x, V, V dy) {
    return dy / (V(1) + exp(x));
  }
};

/// y = 2 / sqrt(pi) times the integral of e^-t^2 from 0 to x.
struct Erf {
  static constexpr const char* name = "erf";
  static constexpr int arity = 1;
  static constexpr Domain domain = Domain::floating;
  static constexpr Result result = Result::same;
  static constexpr bool differentiable = true;
  static constexpr bool cheap = false;
  static constexpr Range range[1] = {{-8.0, 8.0}};
  static constexpr double ulp = 3;

  template <class V>
  TENON_INLINE static constexpr V forward(V x) {
    return erf(x);
  }
  template <class V>
  TENON_INLINE static constexpr V backward(V x, V, V dy) {
    return dy * V(1.128379167095512573896) * exp(-x * x);
  }
};

/// y = x where x > 0, else slope * x. leaky_relu is this with a constant slope.
/// At 0 the derivative is `slope`.
/// Source: He, Zhang, Ren, Sun, Delving deep into rectifiers, 2015, eq. 1.
struct Prelu {
  static constexpr const char* name = "prelu";
  static constexpr int arity = 2;
  static constexpr Domain domain = Domain::floating;
  static constexpr Result result = Result::same;
  static constexpr bool differentiable = true;
  static constexpr bool cheap = true;
  static constexpr Range range[2] = {{-8.0, 8.0}, {-1.0, 1.0}};
  static constexpr double ulp = 0.5;

  template <class V>
  TENON_INLINE static constexpr V forward(V x, V slope) {
    return select(x > V(0), x, slope * x);
  }
  template <class V>
  TENON_INLINE static constexpr Grads<V, 2> backward(V x, V slope, V, V dy) {
    return {select(x > V(0), dy, dy * slope), select(x > V(0), V(0), dy * x)};
  }
};

/// y = x where x > 0, else alpha (e^x - 1).
/// Source: Clevert, Unterthiner, Hochreiter, Exponential linear units, 2016, eq. 15.
struct Elu {
  static constexpr const char* name = "elu";
  static constexpr int arity = 2;
  static constexpr Domain domain = Domain::floating;
  static constexpr Result result = Result::same;
  static constexpr bool differentiable = true;
  static constexpr bool cheap = false;
  static constexpr Range range[2] = {{-8.0, 8.0}, {0.5, 2.0}};
  static constexpr double ulp = 3;

  template <class V>
  TENON_INLINE static constexpr V forward(V x, V alpha) {
    return select(x > V(0), x, alpha * expm1(x));
  }
  template <class V>
  TENON_INLINE static constexpr Grads<V, 2> backward(V x, V alpha, V, V dy) {
    return {select(x > V(0), dy, dy * alpha * exp(x)), select(x > V(0), V(0), dy * expm1(x))};
  }
};

}  // namespace tenon::inline TENON_ISA::op
