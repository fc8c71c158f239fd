#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tuple>

#include "sim/dependencies.hpp"
#include "sim/schedule.hpp"

namespace stagesim {
namespace {

struct Problem {
  std::size_t rank = 0, step = 0;
  std::string text;
};

// Where every op stands: index in a flat list of all cells, rank after rank.
struct Cells {
  std::vector<std::size_t> first_of_rank;
  std::size_t rank_of(std::uint32_t position) const {
    const auto after = std::upper_bound(first_of_rank.begin(), first_of_rank.end(), position);
    return static_cast<std::size_t>(after - first_of_rank.begin()) - 1;
  }
};

class Checker {
 public:
  explicit Checker(const Schedule& s)
      : s_(s), shape_(s.shape), index_(shape_.stages, shape_.microbatches) {}

  std::vector<Problem> run() {
    if (s_.ops_of_rank.size() != static_cast<std::size_t>(shape_.ranks)) {
      add(0, 0,
          fmt::format("has rows for {} ranks, expected {}", s_.ops_of_rank.size(), shape_.ranks));
      return problems_;
    }
    collect();
    find_missing();
    for (std::size_t r = 0; r < s_.ops_of_rank.size(); ++r) check_rank(r);
    std::stable_sort(problems_.begin(), problems_.end(), [](const Problem& a, const Problem& b) {
      return std::tie(a.rank, a.step) < std::tie(b.rank, b.step);
    });
    return problems_;
  }

 private:
  void add(std::size_t rank, std::size_t step, std::string text) {
    problems_.push_back({rank, step, std::move(text)});
  }
  std::string cell(const Op& op) const { return cell_text(op, shape_.pipelines); }

  void collect() {
    updates_.assign(
        static_cast<std::size_t>(shape_.pipelines) * static_cast<std::size_t>(shape_.stages), 0);
    std::size_t position = 0;
    for (std::size_t r = 0; r < s_.ops_of_rank.size(); ++r) {
      cells_.first_of_rank.push_back(position);
      for (std::size_t i = 0; i < s_.ops_of_rank[r].size(); ++i, ++position) place(r, i, position);
    }
  }

  void place(std::size_t r, std::size_t i, std::size_t position) {
    const Op& op = s_.ops_of_rank[r][i];
    const bool update = op.kind == OpKind::kUpdate;
    const int last = update ? shape_.windows() : shape_.microbatches;
    if (op.stage >= shape_.stages || op.pipeline >= shape_.pipelines || op.microbatch >= last ||
        op.microbatch < 0) {
      add(r, i,
          fmt::format("{} is outside {} stages, {} pipelines, {} {}", cell(op), shape_.stages,
                      shape_.pipelines, last, update ? "windows" : "micro-batches"));
      return;
    }
    if (const int home = shape_.rank_of(op.pipeline, op.stage); home != static_cast<int>(r)) {
      add(r, i,
          fmt::format("{} runs here, but stage {} of pipeline {} is on rank {}", cell(op), op.stage,
                      op.pipeline, home));
    }
    if (shape_.forward_only && op.kind != OpKind::kForward) {
      add(r, i, fmt::format("{} in a schedule that only goes forward", cell(op)));
    }
    if (update) {
      int& done = updates_[op.pipeline * static_cast<std::size_t>(shape_.stages) + op.stage];
      if (op.microbatch != done) {
        add(r, i, fmt::format("{} where the update of window {} is due", cell(op), done));
      }
      ++done;
    } else if (!index_.insert(op, static_cast<std::uint32_t>(position))) {
      add(r, i,
          fmt::format("{} a second time (full and split backward exclude each other)", cell(op)));
    }
  }

  void find_missing() {
    std::size_t missing = 0;
    std::string first;
    const auto lacks = [&](Op op) {
      if (missing++ == 0) first = fmt::format("{}{}{}", op.stage, text(op.kind), op.microbatch);
    };
    for (int stage = 0; stage < shape_.stages; ++stage) {
      for (int m = 0; m < shape_.microbatches; ++m) {
        Op op{.microbatch = m, .stage = static_cast<std::uint16_t>(stage)};
        if (index_.find(op) == OpIndex::kNone) lacks(op);
        if (shape_.forward_only) continue;
        op.kind = OpKind::kBackward;
        const std::uint32_t gradient = index_.find(op);
        if (gradient == OpIndex::kNone) {
          lacks(op);
          continue;
        }
        const Op& found = at(gradient);
        op.kind = OpKind::kWeightGrad;
        if (found.kind == OpKind::kInputGrad && index_.find(op) == OpIndex::kNone) lacks(op);
        if (found.kind == OpKind::kBackward && index_.find(op) != OpIndex::kNone) {
          add(0, 0,
              fmt::format("{} beside a full backward: its weight gradient would count twice",
                          cell(op)));
        }
      }
    }
    if (missing > 0) {
      add(0, 0,
          fmt::format(
              "{} ops are missing, the first is {} ({} stages x {} micro-batches, each F{})",
              missing, first, shape_.stages, shape_.microbatches,
              shape_.forward_only ? "" : " and B or I, W"));
    }
    for (std::size_t i = 0; i < updates_.size(); ++i) {
      if (!shape_.forward_only && updates_[i] != shape_.windows()) {
        const auto stages = static_cast<std::size_t>(shape_.stages);
        add(0, 0,
            fmt::format("stage {} of pipeline {} updates {} times, expected {} (one per window)",
                        i % stages, i / stages, updates_[i], shape_.windows()));
      }
    }
  }

  const Op& at(std::uint32_t position) const {
    const std::size_t rank = cells_.rank_of(position);
    return s_.ops_of_rank[rank][position - cells_.first_of_rank[rank]];
  }

  // Order within a rank; what crosses ranks shows as a deadlock when it is replayed.
  void check_rank(std::size_t r) {
    const std::vector<Op>& ops = s_.ops_of_rank[r];
    const LastGradients last =
        s_.dispatch == Dispatch::kFixed ? last_gradients(ops) : LastGradients{};
    for (std::size_t i = 0; i < ops.size(); ++i) {
      const Op& op = ops[i];
      if (op.pair != PairPart::kNone) check_pair(r, i);
      for (const Dependency& d : dependencies(op, shape_.stages)) {
        const std::uint32_t position = index_.find(d.op);
        if (position == OpIndex::kNone) continue;  // reported as missing
        if (at(position).pipeline != op.pipeline) {
          add(r, i,
              fmt::format("{} needs {}, which runs in another pipeline", cell(op),
                          cell(at(position))));
        } else if (s_.dispatch == Dispatch::kFixed && cells_.rank_of(position) == r &&
                   position - cells_.first_of_rank[r] > i) {
          add(r, i, fmt::format("{} runs before {}, which it needs", cell(op), cell(at(position))));
        }
      }
      if (op.kind != OpKind::kUpdate) continue;
      // Every gradient of the window is in, unless this replica had none of it.
      const auto late = last.find({op.pipeline, op.stage, op.microbatch});
      if (late == last.end() || late->second < i) continue;
      add(r, i,
          fmt::format("{} runs before {}: that gradient would be lost", cell(op),
                      cell(ops[late->second])));
    }
  }

  // The two ops of a pair stand side by side and do not wait for each other.
  void check_pair(std::size_t r, std::size_t i) {
    const std::vector<Op>& ops = s_.ops_of_rank[r];
    const Op& op = ops[i];
    if (s_.dispatch != Dispatch::kFixed) {
      add(r, i,
          fmt::format("{} is part of an overlapped pair, which needs a fixed order", cell(op)));
    }
    if (op.pair == PairPart::kBackward) {
      if (i == 0 || ops[i - 1].pair != PairPart::kForward) {
        add(r, i, fmt::format("{} ends an overlapped pair that no forward begins", cell(op)));
      }
      return;
    }
    const bool complete = i + 1 < ops.size() && ops[i + 1].pair == PairPart::kBackward;
    if (op.kind != OpKind::kForward || !complete || !is_gradient(ops[i + 1].kind)) {
      add(r, i,
          fmt::format("{} begins an overlapped pair, expected a forward and right after it a "
                      "backward",
                      cell(op)));
    } else if (op.stage == ops[i + 1].stage && op.microbatch == ops[i + 1].microbatch) {
      add(r, i,
          fmt::format("{} would wait for itself", pair_text(op, ops[i + 1], shape_.pipelines)));
    }
  }

  // (pipeline, stage, window) -> step of the last gradient part.
  using LastGradients = std::map<std::tuple<int, int, int>, std::size_t>;
  LastGradients last_gradients(const std::vector<Op>& ops) const {
    LastGradients last;
    for (std::size_t i = 0; i < ops.size(); ++i) {
      if (!is_gradient(ops[i].kind) && ops[i].kind != OpKind::kWeightGrad) continue;
      last[{ops[i].pipeline, ops[i].stage, ops[i].microbatch / shape_.window}] = i;
    }
    return last;
  }

  const Schedule& s_;
  const Shape& shape_;
  OpIndex index_;
  Cells cells_;
  std::vector<int> updates_;
  std::vector<Problem> problems_;
};

std::string grid_around(const Schedule& s, const Problem& at) {
  constexpr std::size_t kAround = 6;
  const std::size_t from = at.step > kAround ? at.step - kAround : 0;
  std::string out;
  for (std::size_t r = 0; r < s.ops_of_rank.size(); ++r) {
    if (r + 3 < at.rank || r > at.rank + 3) continue;
    const auto& ops = s.ops_of_rank[r];
    out += fmt::format("\n  rank {:>3}{}", r, from > 0 ? " …" : "  ");
    for (std::size_t i = from; i < std::min(ops.size(), from + 2 * kAround + 1); ++i) {
      const bool here = r == at.rank && i == at.step;
      const std::string cell = cell_text(ops[i], s.shape.pipelines);
      out += here ? fmt::format(" >{}<", cell) : " " + cell;
    }
  }
  return out;
}

std::vector<Problem> problems_of(const Schedule& s) {
  const Shape& shape = s.shape;
  const auto hosts =
      static_cast<std::size_t>(shape.stages) * static_cast<std::size_t>(shape.pipelines);
  const bool sane = shape.ranks > 0 && shape.stages > 0 && shape.pipelines > 0 &&
                    shape.microbatches > 0 && shape.window > 0 &&
                    shape.microbatches % shape.window == 0 && shape.stages <= 0xffff &&
                    shape.pipelines <= 0xffff && shape.rank_of_stage.size() == hosts;
  if (!sane)
    return {
        {0, 0, "has no usable shape (ranks, stages, pipelines, micro-batches, window, placement)"}};
  std::size_t cells = 0;
  for (const auto& ops : s.ops_of_rank) cells += ops.size();
  const std::size_t expected = (shape.forward_only ? 1 : 2) *
                               static_cast<std::size_t>(shape.stages) *
                               static_cast<std::size_t>(shape.microbatches);
  if (expected >
      2 * cells + 1000) {  // the header promises what is plainly not there: no table of that size
    return {{0, 0,
             fmt::format("has {} cells, expected at least {} ({} of {} stages x {} micro-batches)",
                         cells, expected, shape.forward_only ? "F" : "F and B", shape.stages,
                         shape.microbatches)}};
  }
  return Checker(s).run();
}

}  // namespace

std::vector<std::string> schedule_problems(const Schedule& s) {
  std::vector<std::string> lines;
  for (const Problem& p : problems_of(s)) {
    lines.push_back(fmt::format("{}: rank {} step {}: {}", s.name, p.rank, p.step, p.text));
  }
  return lines;
}

void check_schedule(const Schedule& s) {
  const std::vector<Problem> found = problems_of(s);
  if (found.empty()) return;
  constexpr std::size_t kShown = 20;
  std::string message;
  const std::vector<std::string> lines = schedule_problems(s);
  for (std::size_t i = 0; i < std::min(lines.size(), kShown); ++i) message += lines[i] + "\n";
  if (lines.size() > kShown)
    message += fmt::format("… and {} more problems\n", lines.size() - kShown);
  throw InputError(message + "the first one, between > and <:" + grid_around(s, found.front()));
}

}  // namespace stagesim
