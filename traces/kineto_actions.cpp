#include "traces/kineto_actions.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>

namespace stagesim {
namespace {

// "1SEND_F3", "0RECV_B2": the op of the message's producer would have that kind; nothing for other
// tokens.
struct Transport {
  bool send = false;
  Op op{};
};
std::optional<Transport> parse_transport(const std::string& token) {
  for (const bool send : {true, false}) {
    for (const bool forward : {true, false}) {
      const std::string word = std::string(send ? "SEND_" : "RECV_") + (forward ? "F" : "B");
      const std::size_t at = token.find(word);
      if (at == std::string::npos) continue;
      const std::vector<Op> ops =
          parse_op_token(token.substr(0, at) + (forward ? "F" : "B") + token.substr(at + 6));
      if (ops.size() == 1) return Transport{send, ops[0]};
    }
  }
  return {};
}

class ActionReader {
 public:
  ActionReader(const TimelineFile& ran, Problems& problems) : ran_(ran), problems_(problems) {}

  KinetoActions read(const std::vector<RankTrace>& traces) {
    const Shape& shape = ran_.order.shape;
    if (shape.pipelines > 1) {
      throw InputError(fmt::format(
          "{}: {} pipelines, and the profiler's PP: names do not say of which an action is",
          ran_.schedule, shape.pipelines));
    }
    place_ranks(traces);
    actions_.ops.resize(static_cast<std::size_t>(shape.ranks));
    read_tokens();
    return std::move(actions_);
  }

 private:
  void place_ranks(const std::vector<RankTrace>& traces) {
    const auto ranks = static_cast<std::size_t>(ran_.order.shape.ranks);
    actions_.of_rank.assign(ranks, nullptr);
    const bool all_say = std::all_of(traces.begin(), traces.end(),
                                     [](const RankTrace& t) { return t.rank.has_value(); });
    for (std::size_t i = 0; i < traces.size(); ++i) {
      const std::size_t rank = all_say ? static_cast<std::size_t>(*traces[i].rank) : i;
      if (rank >= ranks) {
        problems_.add("{}: rank {} of {}: the schedule has ranks 0 to {}", traces[i].file, rank,
                      ran_.schedule, ranks - 1);
      } else if (actions_.of_rank[rank] != nullptr) {
        problems_.add("{}: rank {} is also in {}", traces[i].file, rank,
                      actions_.of_rank[rank]->file);
      } else {
        actions_.of_rank[rank] = &traces[i];
      }
    }
    for (std::size_t r = 0; r < ranks; ++r) {
      if (actions_.of_rank[r] == nullptr)
        problems_.add("no trace of rank {}; give one file for each rank", r);
    }
    problems_.throw_if_any();
    if (!all_say)
      note(
          "ranks: in the order of the files, and of process ids in one file, because not all say "
          "of which rank they are");
  }

  void read_tokens() {
    std::map<std::string, int> others;
    for (std::size_t r = 0; r < actions_.ops.size(); ++r) {
      actions_.ops[r].resize(1);
      std::map<Cell, int> seen;
      std::map<std::tuple<bool, Cell>, int> seen_messages;
      std::map<std::string, std::size_t> windows;
      for (const ProfiledRange& range : actions_.of_rank[r]->ranges) {
        if (is_megatron_window(range.token)) {
          take_window(r, range, windows[range.token]++);
          continue;
        }
        std::vector<Op> ops = parse_op_token(range.token);
        if (const auto chunk = parse_chunk_token(range.token)) ops = ops_of_chunk(r, *chunk);
        if (!ops.empty()) {
          const auto step = static_cast<std::size_t>(seen[cell_of(ops[0])]++);
          if (actions_.ops[r].size() <= step) actions_.ops[r].resize(step + 1);
          actions_.ops[r][step].push_back({ops, &range});
        } else if (const auto message = parse_transport(range.token)) {
          const int step = seen_messages[{message->send, cell_of(message->op)}]++;
          actions_.messages[{message->send, step, cell_of(message->op)}] = &range;
        } else {
          ++others[range.token];
        }
      }
    }
    if (windows_taken_) {
      note(
          "Megatron-LM's windows: the k-th forward_step of a rank in a step is taken as the k-th F "
          "of "
          "its order, the k-th backward_step as the k-th B");
    }
    if (others.empty()) return;
    std::string names;
    for (const auto& [token, count] : others)
      names += fmt::format("{}{} ({})", names.empty() ? "" : ", ", token, count);
    note("not ops, left out: " + names);
  }

  // A rank's c-th chunk is the c-th of its stages; a B beside W's is the input gradient.
  std::vector<Op> ops_of_chunk(std::size_t r, const ChunkToken& chunk) const {
    std::set<int> stages;
    bool split = false;
    for (const Op& op : ran_.order.ops_of_rank[r]) {
      if (!is_update_part(op.kind) && op.kind != OpKind::kUpdate) stages.insert(op.stage);
      split = split || op.kind == OpKind::kInputGrad;
    }
    if (static_cast<std::size_t>(chunk.chunk) >= stages.size()) return {};
    const OpKind kind = chunk.kind == 'F'   ? OpKind::kForward
                        : chunk.kind == 'W' ? OpKind::kWeightGrad
                        : split             ? OpKind::kInputGrad
                                            : OpKind::kBackward;
    Op op{.microbatch = chunk.microbatch, .kind = kind};
    op.stage = static_cast<decltype(op.stage)>(*std::next(stages.begin(), chunk.chunk));
    return {op};
  }

  // The k-th call of a function on a rank, from 0: it does not say of which micro-batch it is.
  void take_window(std::size_t r, const ProfiledRange& range, std::size_t k) {
    windows_taken_ = true;
    const bool forward = range.token == kForwardStep;
    std::vector<Op> of_step;
    for (Op op : ran_.order.ops_of_rank[r]) {
      op.pair = PairPart::kNone;
      const bool wanted = forward ? op.kind == OpKind::kForward : op.kind == OpKind::kBackward;
      if (wanted && op.microbatch < ran_.order.shape.window) of_step.push_back(op);
    }
    if (of_step.empty()) {
      if (k > 0) return;  // said once
      problems_.add("{}: {} on rank {}, where {} has no {}", actions_.of_rank[r]->file, range.token,
                    r, ran_.schedule, forward ? "F" : "full backward");
      return;
    }
    const std::size_t step = k / of_step.size();
    if (actions_.ops[r].size() <= step) actions_.ops[r].resize(step + 1);
    actions_.ops[r][step].push_back({{of_step[k % of_step.size()]}, &range});
  }

  void note(std::string text) { actions_.notes.push_back(std::move(text)); }

  const TimelineFile& ran_;
  Problems& problems_;
  KinetoActions actions_{};
  bool windows_taken_ = false;
};

}  // namespace

KinetoActions kineto_actions(const std::vector<RankTrace>& traces, const TimelineFile& ran,
                             Problems& problems) {
  return ActionReader(ran, problems).read(traces);
}

}  // namespace stagesim
