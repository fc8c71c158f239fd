#include <algorithm>

#include "schedules/generators.hpp"
#include "schedules/orders.hpp"

// ZB-H1 and ZB-H2 differ in two numbers only: how many forwards warm a rank up, and how many input
// gradients a weight gradient is put off. W right after I would not reproduce the paper's rates.

namespace stagesim {
namespace {

constexpr const char* kSource = "Zero Bubble, arXiv 2401.10241 section 2";

int warmup_h1(int p, int rank) { return p - 1 - rank; }
int warmup_h2(int p, int rank) { return 2 * (p - 1 - rank); }

Schedule zb_h(std::string_view name, const ScheduleParams& params, int (*warmup)(int, int),
              int delay_per_rank) {
  Schedule s = one_pipeline(name, params, 1, Placement::kLoop);
  append_windows(s, [&](std::vector<Op>& ops, int rank, int first) {
    append_split_one_f_one_b(ops, params.window, warmup(params.ranks, rank), delay_per_rank * rank,
                             [&](OpKind kind, int k) { return cell(kind, rank, first + k); });
  });
  return s;
}

Schedule zb_h1(const ScheduleParams& params, const Costs*) {
  return zb_h("zb-h1", params, warmup_h1, 1);
}
Schedule zb_h2(const ScheduleParams& params, const Costs*) {
  return zb_h("zb-h2", params, warmup_h2, 2);
}

std::vector<ClosedForm> forms_h1(const ScheduleParams& params, const EqualStages& t) {
  const int p = params.ranks, m = params.window;
  const double whole = t.forward + t.input_grad + t.weight_grad;
  if (m <= p && t.weight_grad <= t.input_grad && t.weight_grad <= t.forward) {
    return {{"wall", "(m + p - 1)(F + I) + W, W <= F and W <= I, m <= p",
             "arXiv 2401.10241 appendix H",
             (m + p - 1) * (t.forward + t.input_grad) + t.weight_grad}};
  }
  if (m < p) return {};
  return {{"wall", "m (F + I + W) + (p - 1)(F + I - W), W <= F and W <= I, m >= p",
           "arXiv 2401.10241 Table 2",
           m * whole + (p - 1) * (t.forward + t.input_grad - t.weight_grad)}};
}

std::vector<ClosedForm> forms_h2(const ScheduleParams& params, const EqualStages& t) {
  const int p = params.ranks, m = params.window;
  const double whole = t.forward + t.input_grad + t.weight_grad;
  if (m < 2 * p - 1) return {};
  return {{"span", "m (F + I + W) + (p - 1)(F + I - 2 W), W <= F and W <= I, m >= 2 p - 1",
           "arXiv 2401.10241 Table 2",
           m * whole + (p - 1) * (t.forward + t.input_grad - 2 * t.weight_grad)}};
}

}  // namespace

ScheduleInfo zb_h1_info() {
  return {"zb-h1",
          {"zb1p"},
          "split backward, weight gradients fill the drain; activations as 1F1B",
          kSource,
          VersionRule::kFlush,
          {},
          batch_window,
          zb_h1,
          nullptr,
          [](const ScheduleParams& p, int) { return std::min(p.ranks, p.window); },
          forms_h1};
}

ScheduleInfo zb_h2_info() {
  return {"zb-h2",
          {"zb2p"},
          "split backward, twice the warm-up: no idle inside a rank's own span",
          kSource,
          VersionRule::kFlush,
          {},
          batch_window,
          zb_h2,
          nullptr,
          [](const ScheduleParams& p, int) { return std::min(2 * p.ranks - 1, p.window); },
          forms_h2};
}

}  // namespace stagesim
