#include "sim/bubble.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "sim/base/error.hpp"
#include "sim/causes.hpp"

namespace stagesim {

std::string_view text(IdleCause cause) {
  switch (cause) {
    case IdleCause::kUpstreamForward:
      return "upstream forward";
    case IdleCause::kDownstreamGradient:
      return "downstream gradient";
    case IdleCause::kTransfer:
      return "transfer in flight";
    case IdleCause::kLinkShared:
      return "link shared";
    case IdleCause::kReduceBroadcast:
      return "reduce/broadcast";
    case IdleCause::kBarrier:
      return "barrier";
    case IdleCause::kMemoryCap:
      return "memory cap";
    case IdleCause::kOther:
      return "other";
    case IdleCause::kStartUp:
      return "start-up";
    case IdleCause::kDrain:
      return "drain";
  }
  return "?";
}

std::string_view text(IntervalKind kind) {
  switch (kind) {
    case IntervalKind::kWall:
      return "wall";
    case IntervalKind::kSpan:
      return "span";
    case IntervalKind::kSteady:
      return "steady";
  }
  return "?";
}

namespace {

struct Piece {
  Nanos from{}, to{};
  IdleCause cause = IdleCause::kStartUp;
};

// Cuts the gap [from, start of t) at the moments that mattered: the producer's end, the link's
// acceptance, the arrival. An overlapped pair is explained by the half that it waited for longer.
// What is left over after the data was there was a limit on dispatch.
void explain_gap(const Timeline& timeline, const Causes& causes, TaskId t, Nanos from,
                 std::vector<Piece>& pieces) {
  const Nanos to = timeline.start[t];
  if (to <= from) return;
  const auto cut = [&](Nanos until, IdleCause cause) {
    until = std::min(until, to);
    if (until > from) {
      pieces.push_back({from, until, cause});
      from = until;
    }
  };
  const TaskId op = t;
  t = causes.waited_for(t);
  const OpKind kind = timeline.what->op[t].kind;
  if (kind == OpKind::kBarrier) return cut(to, IdleCause::kBarrier);
  if (is_update_part(kind)) return cut(to, IdleCause::kReduceBroadcast);
  const IdleCause waiting =
      kind == OpKind::kForward ? IdleCause::kUpstreamForward : IdleCause::kDownstreamGradient;
  if (const auto message = causes.message_into(t)) {
    for (const TaskId producer : causes.producers(t)) {
      if (timeline.what->lane[producer] != timeline.what->lane[t])
        cut(timeline.end[producer], waiting);
    }
    cut(timeline.start[*message], IdleCause::kLinkShared);
    if (const std::vector<Nanos>& alone = timeline.what->alone; !alone.empty())
      cut(timeline.end[*message] - alone[*message], IdleCause::kLinkShared);
    cut(timeline.end[*message], IdleCause::kTransfer);
  } else {
    for (const TaskId producer : causes.producers(t)) {
      const bool away = timeline.what->lane[producer] != timeline.what->lane[t];
      cut(timeline.end[producer], waiting);
      if (away) cut(to, IdleCause::kTransfer);  // a timeline without messages: it was on its way
    }
  }
  if (const auto freed = causes.predecessor(op);
      freed && is_transfer(timeline.what->op[*freed].kind) && timeline.end[*freed] == to) {
    cut(to, IdleCause::kTransfer);  // held until its own message was taken
  }
  const bool limited = timeline.what->dispatch != Dispatch::kFixed;
  cut(to, limited ? IdleCause::kMemoryCap : IdleCause::kOther);
}

// The idle pieces of a rank in time order, from its first op to its last; busy time lies between.
std::vector<Piece> idle_pieces(const Timeline& timeline, const Causes& causes, int rank) {
  std::vector<Piece> pieces;
  bool first = true;
  Nanos free{0};
  for (const TaskId t : causes.order(rank)) {
    if (!first) explain_gap(timeline, causes, t, free, pieces);
    first = false;
    const OpKind kind = timeline.what->op[t].kind;
    if (!is_busy(kind) && timeline.duration(t).count() > 0) {
      pieces.push_back(
          {timeline.start[t], timeline.end[t],
           kind == OpKind::kBarrier ? IdleCause::kBarrier : IdleCause::kReduceBroadcast});
    }
    free = std::max(free, timeline.end[t]);
  }
  return pieces;
}

Nanos end_of_update(const Timeline& timeline, const std::vector<TaskId>& order, int rank,
                    int window) {
  std::optional<Nanos> end;
  for (const TaskId t : order) {
    const Op& op = timeline.what->op[t];
    if (is_update_part(op.kind) && op.microbatch == window) end = timeline.end[t];
  }
  if (!end) {
    throw InputError(
        fmt::format("no steady interval: rank {} has no update of window {}", rank, window));
  }
  return *end;
}

}  // namespace

Bubble bubble(const Timeline& timeline, const Interval& interval) {
  Bubble result{.interval = interval};
  const Causes causes(timeline);
  const Span whole = wall(timeline);
  const Nanos longest = longest_rank_span(timeline);
  double idle = 0, busy = 0, length = 0;  // over all ranks they may not fit 64 bits
  for (int r = 0; r < timeline.shape().ranks; ++r) {
    RankIdle& rank = result.ranks.emplace_back();
    const std::vector<TaskId>& order = causes.order(r);
    const Nanos first = order.empty() ? whole.start : timeline.start[order.front()];
    Nanos last = first;
    for (const TaskId t : order) last = std::max(last, timeline.end[t]);
    rank.interval = whole;
    if (interval.kind == IntervalKind::kSpan) rank.interval = {first, first + longest};
    if (interval.kind == IntervalKind::kSteady) {
      rank.interval = {end_of_update(timeline, order, r, interval.first_window),
                       end_of_update(timeline, order, r, interval.last_window)};
    }
    const auto inside = [&](Nanos from, Nanos to) {
      return std::max(Nanos{0},
                      std::min(to, rank.interval.end) - std::max(from, rank.interval.start));
    };
    const auto add_idle = [&](Nanos from, Nanos to, IdleCause cause) {
      rank.by_cause[static_cast<std::size_t>(cause)] += inside(from, to);
      rank.idle += inside(from, to);
    };
    add_idle(rank.interval.start, std::min(first, rank.interval.end), IdleCause::kStartUp);
    for (const Piece& piece : idle_pieces(timeline, causes, r))
      add_idle(piece.from, piece.to, piece.cause);
    add_idle(std::max(last, rank.interval.start), rank.interval.end, IdleCause::kDrain);
    Nanos counted = first;  // the two halves of a pair are busy once
    for (const TaskId t : order) {
      if (!is_busy(timeline.what->op[t].kind)) continue;
      const Nanos from = std::max(counted, timeline.start[t]);
      if (timeline.end[t] > from) rank.busy += inside(from, timeline.end[t]);
      counted = std::max(counted, timeline.end[t]);
    }
    idle += static_cast<double>(rank.idle.count());
    busy += static_cast<double>(rank.busy.count());
    length += static_cast<double>(rank.interval.length().count());
  }
  if (length > 0) result.bubble = idle / length;
  if (busy > 0) result.over_ideal = idle / busy;
  return result;
}

std::array<double, kIdleCauses> idle_ms_by_cause(const Bubble& bubble) {
  std::array<double, kIdleCauses> total{};
  for (const RankIdle& rank : bubble.ranks) {
    for (std::size_t c = 0; c < kIdleCauses; ++c) total[c] += to_ms(rank.by_cause[c]);
  }
  return total;
}

std::vector<Wait> waits(const Timeline& timeline) {
  std::vector<Wait> result(timeline.what->size());
  const Causes causes(timeline);
  const Nanos begin = wall(timeline).start;
  for (int r = 0; r < timeline.shape().ranks; ++r) {
    bool first = true;
    Nanos free = begin;
    for (const TaskId t : causes.order(r)) {
      std::vector<Piece> pieces;
      if (first && timeline.start[t] > free)
        pieces.push_back({free, timeline.start[t], IdleCause::kStartUp});
      if (!first) explain_gap(timeline, causes, t, free, pieces);
      Nanos longest{0};
      for (const Piece& piece : pieces) {
        result[t].length += piece.to - piece.from;
        if (piece.to - piece.from <= longest) continue;
        longest = piece.to - piece.from;
        result[t].cause = piece.cause;
      }
      first = false;
      free = std::max(free, timeline.end[t]);
    }
  }
  for_each_transfer(*timeline.what, [&](TaskId t, const Transfer& transfer) {
    const Nanos posted = timeline.end[transfer.producer];
    if (timeline.start[t] > posted) {
      result[t] = {IdleCause::kLinkShared, timeline.start[t] - posted};
    }
  });
  return result;
}

}  // namespace stagesim
