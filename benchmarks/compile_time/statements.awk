# SPDX-License-Identifier: Apache-2.0
# Writes a C++ file with n different statements of 20 nodes. Variables: n; kind = fuse or temporaries; depth = 0 or 1;
# same = 1: one structure with n different extents instead.
function pick(count) { seed = (seed * 16807) % 2147483647; return int(seed / 2147483647 * count) }
function operand() { return substr("abcd", 1 + pick(4), 1) }
function chain(nodes,   s, i) {
  s = operand()
  for (i = 0; i < nodes; ++i)
    if (pick(10) < 4) s = unary[pick(6)] "(" s ")"
    else s = "(" s " " binary[pick(3)] " " operand() ")"
  return s
}
BEGIN {
  split("sigmoid relu exp square abs", rest, " ")
  unary[0] = "tanh"
  for (i = 1; i <= 5; ++i) unary[i] = rest[i]
  binary[0] = "+"; binary[1] = "-"; binary[2] = "*"
  print "#include <tenon/tenon.hpp>\nusing namespace tenon;"
  for (k = 0; k < n; ++k) {
    seed = 1000 + (same ? 7 : 7919 * (k + 1))
    pick(2); pick(2)
    width = same ? 64 + k : 64
    m = "const Tensor<float, Shape<dyn, " width ">>&"
    result = "Tensor<float, Shape<dyn, " width ">>"
    if (depth == 0) { first = ""; value = chain(20) }
    else {
      one = chain(9); two = chain(9)
      if (kind == "fuse") { first = "auto m = " one "; "; value = "(m - mean(m, axis<-1>, keepdims)) * " two }
      else { first = ""; value = "(" one " - mean(a, axis<-1>, keepdims)) * " two }
    }
    head = result " f" k "(" m " a, " m " b, " m " c, const Tensor<float, Shape<" width ">>& d) { return "
    if (kind == "fuse")
      print head "fuse([](auto a, auto b, auto c, auto d) { " first "return " value "; }, a, b, c, d); }"
    else print head value "; }"
  }
}
