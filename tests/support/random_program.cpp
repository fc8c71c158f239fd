#include "tests/support/random_program.hpp"

#include <algorithm>
#include <map>
#include <optional>

namespace stagesim::test {
namespace {

int draw(std::mt19937& random, int low, int high) {
  return std::uniform_int_distribution<int>(low, high)(random);
}

}  // namespace

Schedule random_schedule(std::mt19937& random, const RandomShape& limits) {
  Schedule s{.name = "random"};
  Shape& shape = s.shape;
  shape.ranks = draw(random, 1, limits.most_ranks);
  shape.stages = shape.ranks * draw(random, 1, limits.most_stages_per_rank);
  shape.pipelines = limits.several_pipelines ? draw(random, 1, 3) : 1;
  shape.window = draw(random, 1, limits.most_microbatches);
  shape.microbatches = shape.window * draw(random, 1, limits.most_windows);
  shape.rule = VersionRule::kLatest;
  for (int p = 0; p < shape.pipelines; ++p) {
    for (int stage = 0; stage < shape.stages; ++stage)
      shape.rank_of_stage.push_back(draw(random, 0, shape.ranks - 1));
  }
  s.ops_of_rank.resize(std::size_t(shape.ranks));
  const bool split = draw(random, 0, 1) == 1;

  // State of every (stage, micro-batch): 0 nothing, 1 F done, 2 B or I done, 3 W done.
  std::vector<std::vector<int>> state(std::size_t(shape.stages),
                                      std::vector<int>(std::size_t(shape.microbatches), 0));
  std::vector<Op> ready;
  while (true) {
    ready.clear();
    for (int m = 0; m < shape.microbatches; ++m) {
      for (int stage = 0; stage < shape.stages; ++stage) {
        const int now = state[std::size_t(stage)][std::size_t(m)];
        Op op{.microbatch = m,
              .stage = std::uint16_t(stage),
              .pipeline = std::uint16_t(m % shape.pipelines)};
        const bool above = stage == 0 || state[std::size_t(stage - 1)][std::size_t(m)] >= 1;
        const bool below =
            stage + 1 == shape.stages || state[std::size_t(stage + 1)][std::size_t(m)] >= 2;
        if (now == 0 && above) ready.push_back(op);
        op.kind = split ? OpKind::kInputGrad : OpKind::kBackward;
        if (now == 1 && below) ready.push_back(op);
        op.kind = OpKind::kWeightGrad;
        if (now == 2 && split) ready.push_back(op);
      }
    }
    if (ready.empty()) break;
    const Op op = ready[std::size_t(draw(random, 0, int(ready.size()) - 1))];
    ++state[op.stage][std::size_t(op.microbatch)];
    s.ops_of_rank[std::size_t(shape.rank_of(op.pipeline, op.stage))].push_back(op);
  }
  // All updates at the end of each rank: in window order, stages ascending, so that collectives
  // agree.
  for (int w = 0; w < shape.windows(); ++w) {
    for (int p = 0; p < shape.pipelines; ++p) {
      for (int stage = 0; stage < shape.stages; ++stage) {
        s.ops_of_rank[std::size_t(shape.rank_of(p, stage))].push_back(
            {.microbatch = w,
             .stage = std::uint16_t(stage),
             .pipeline = std::uint16_t(p),
             .kind = OpKind::kUpdate});
      }
    }
  }
  return s;
}

Costs random_costs(std::mt19937& random, const Schedule& s, const RandomShape& limits) {
  Costs costs;
  const int least = limits.zero_costs ? 0 : 1;
  const auto time = [&](int most) { return Nanos(draw(random, least, most)); };
  for (int stage = 0; stage < s.shape.stages; ++stage) {
    costs.stages.push_back({.forward = time(9),
                            .backward = time(15),
                            .input_grad = time(9),
                            .weight_grad = time(9),
                            .reduce = time(3),
                            .step = time(4),
                            .broadcast = time(3)});
    costs.message_bytes.push_back(draw(random, 0, 5));
  }
  costs.links[0].latency = limits.messages ? Nanos(draw(random, 0, 4)) : Nanos{0};
  for (int stage = 0; stage < s.shape.stages; ++stage) {
    costs.links[0].transfer_time.push_back(
        costs.links[0].latency + (limits.messages ? Nanos(draw(random, 0, 12)) : Nanos{0}));
  }
  return costs;
}

Costs times_longer(Costs costs, int factor) {
  for (StageCosts& c : costs.stages) {
    for (Nanos* time :
         {&c.forward, &c.backward, &c.input_grad, &c.weight_grad, &c.reduce, &c.step, &c.broadcast})
      *time *= factor;
  }
  for (LinkClass& link : costs.links) {
    link.latency *= factor;
    for (Nanos& time : link.transfer_time) time *= factor;
  }
  return costs;
}

namespace {

struct Cell {
  Op op;
  int rank = 0;
  std::optional<Span> span{};
};

struct Message {
  std::size_t from = 0, to = 0;  // cells
  int stage_boundary = 0;
  std::optional<Nanos> arrival{};
};

Nanos length(const Op& op, const StageCosts& c) {
  if (op.kind == OpKind::kForward) return c.forward;
  if (op.kind == OpKind::kBackward) return c.backward;
  if (op.kind == OpKind::kInputGrad) return c.input_grad;
  if (op.kind == OpKind::kWeightGrad) return c.weight_grad;
  return c.reduce + c.step;
}

}  // namespace

std::vector<Span> slow_replay(const Schedule& s, const Costs& costs) {
  std::vector<Cell> cells;
  for (std::size_t r = 0; r < s.ops_of_rank.size(); ++r) {
    for (const Op& op : s.ops_of_rank[r]) cells.push_back({op, int(r)});
  }
  const auto find = [&](int stage, int m, auto&& kind) -> std::size_t {
    for (std::size_t i = 0; i < cells.size(); ++i) {
      if (cells[i].op.stage == stage && cells[i].op.microbatch == m && kind(cells[i].op.kind))
        return i;
    }
    return cells.size();
  };
  const auto forward = [](OpKind k) { return k == OpKind::kForward; };
  const auto gradient = [](OpKind k) { return k == OpKind::kBackward || k == OpKind::kInputGrad; };
  // What each cell waits for: other cells on its rank come by position, the rest by message.
  std::vector<Message> messages;
  std::vector<std::vector<std::size_t>> needs_message(cells.size());
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const Op& op = cells[i].op;
    std::size_t from = cells.size();
    if (forward(op.kind) && op.stage > 0) from = find(op.stage - 1, op.microbatch, forward);
    if (gradient(op.kind) && op.stage + 1 < s.shape.stages)
      from = find(op.stage + 1, op.microbatch, gradient);
    if (from == cells.size() || cells[from].rank == cells[i].rank) continue;
    needs_message[i].push_back(messages.size());
    messages.push_back({from, i, forward(op.kind) ? op.stage - 1 : op.stage});
  }
  std::map<std::pair<int, int>, Nanos> link_free;
  while (true) {
    bool settled = true;
    while (settled) {
      settled = false;
      for (std::size_t i = 0; i < cells.size(); ++i) {
        if (cells[i].span) continue;
        Nanos start{0};
        bool known = true;
        if (i > 0 && cells[i - 1].rank == cells[i].rank) {
          known = cells[i - 1].span.has_value();
          if (known) start = cells[i - 1].span->end;
        }
        for (const std::size_t m : needs_message[i]) {
          known = known && messages[m].arrival.has_value();
          if (known) start = std::max(start, *messages[m].arrival);
        }
        if (!known) continue;
        cells[i].span = Span{start, start + length(cells[i].op, costs.stages[cells[i].op.stage])};
        settled = true;
      }
    }
    // Everything that can still happen waits for a message; the one posted first is next on its
    // link.
    std::optional<std::size_t> next;
    for (std::size_t m = 0; m < messages.size(); ++m) {
      if (messages[m].arrival || !cells[messages[m].from].span) continue;
      const auto key = [&](std::size_t k) {
        return std::make_pair(cells[messages[k].from].span->end, messages[k].from);
      };
      if (!next || key(m) < key(*next)) next = m;
    }
    if (!next) break;
    Message& message = messages[*next];
    Nanos& free = link_free[{cells[message.from].rank, cells[message.to].rank}];
    const Nanos start = std::max(free, cells[message.from].span->end);
    message.arrival = start + costs.links[0].transfer_time[std::size_t(message.stage_boundary)];
    free = *message.arrival - costs.links[0].latency;
  }
  std::vector<Span> result;
  for (const Cell& cell : cells) result.push_back(cell.span.value());
  return result;
}

}  // namespace stagesim::test
