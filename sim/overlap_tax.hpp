#pragma once

namespace stagesim {

// What communication beside compute costs: while a message of a rank occupies its link, in or out,
// the rank's ops and optimizer steps take `compute` times as long; while either end of a message
// computes, the message takes `transfer` times as long. Both at least 1; 1 is no cost. Measured
// over four GPU types as 1.19 on average and 1.40 at most (arXiv 2507.03114).
struct OverlapTax {
  double compute = 1, transfer = 1;
  bool any() const { return compute != 1 || transfer != 1; }
};

}  // namespace stagesim
