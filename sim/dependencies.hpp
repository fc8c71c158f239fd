#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "sim/op.hpp"

namespace stagesim {

// Why an op waits for another one.
enum class DependencyKind : std::uint8_t {
  kActivation,    // F(s, i) after F(s-1, i)
  kOwnForward,    // B or I(s, i) after F(s, i)
  kGradient,      // B or I(s, i) after B or I(s+1, i)
  kOwnInputGrad,  // W(s, i) after I(s, i)
};

// Where the gradient op of a (stage, micro-batch) may be B or I, `op.kind` is kBackward.
struct Dependency {
  Op op;
  DependencyKind kind = DependencyKind::kActivation;
};

struct Dependencies {
  std::array<Dependency, 2> items{};
  std::size_t count = 0;
  const Dependency* begin() const { return items.data(); }
  const Dependency* end() const { return items.data() + count; }
};

// The one place that knows what F, B, I and W depend on. Lowering, the rule check and the idle
// attribution ask it; update parts and transfers have their own edges and give none here.
Dependencies dependencies(const Op& op, int stages);

// Finds the position of an op by (stage, micro-batch, part); gradients share one slot for B and I.
class OpIndex {
 public:
  static constexpr std::uint32_t kNone = 0xffffffff;

  OpIndex(int stages, int microbatches);
  // False if the slot was taken (a duplicate), or the op has no slot (updates, transfers).
  bool insert(const Op& op, std::uint32_t position);
  std::uint32_t find(const Op& op) const;

 private:
  std::size_t slot(const Op& op) const;
  std::size_t stages_ = 0, microbatches_ = 0;
  std::vector<std::uint32_t> forward_, gradient_, weight_;  // weight_ stays empty without W
};

}  // namespace stagesim
