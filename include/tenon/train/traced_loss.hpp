// SPDX-License-Identifier: Apache-2.0
// A loss whose gradient is a graph: batch_gradient runs it for each shard in place of a tape, in
// every mode, with the same bits.
#pragma once
#include <tenon/graph/trace.hpp>
#include <tenon/optim/step.hpp>

namespace tenon::inline TENON_ISA {

/// What trace_loss returns: an argument for batch_gradient and train_step in the place of the loss.
/// It belongs to one thread.
template <class Model, class Batch>
class TracedLoss {
 public:
  using Step = graph::Traced<Gradient<Model>, Model, Batch>;
  explicit TracedLoss(Step step) : step_(std::move(step)) {}

  /// The gradient of one shard, called by batch_gradient.
  Gradient<Model> traced_gradient(const Model& net, const Batch& batch, Index samples) const {
    Gradient<Model> g = step_(net, batch);
    // A weight that the loss did not compute is the number of samples.
    if (!g.weight.tensor().defined()) g.weight = static_cast<double>(samples);
    return g;
  }
  const graph::Graph& graph() const { return step_.graph(); }

 private:
  mutable Step step_;
};

/// Forward and backward of loss(net, batch) as a graph, for any number of rows; `batch` is an
/// example. Errors: as graph::trace.
template <class Loss, class Model, class Batch>
TracedLoss<Model, Batch> trace_loss(const Loss& loss, const Model& net, const Batch& batch) {
  auto gradient = [&loss](const Model& n, const Batch& b) {
    return detail::taped_gradient<Loss, Model, Batch>(nullptr, loss, n, b, 1);
  };
  return TracedLoss<Model, Batch>(graph::trace(gradient, net, batch));
}

}  // namespace tenon
