#include "hwmodels/collectives.hpp"

#include <fmt/format.h>

#include <cmath>

#include "hwmodels/assumptions.hpp"

namespace stagesim {
namespace {

const CollectiveProfile* nearest(const LinkProfile& link, CollectiveKind kind, int participants) {
  const CollectiveProfile* best = nullptr;
  const auto distance = [&](const CollectiveProfile& c) {
    return std::abs(std::log(double(c.participants) / participants));
  };
  for (const CollectiveProfile& c : link.collectives) {
    if (c.kind == kind && (best == nullptr || distance(c) < distance(*best))) best = &c;
  }
  return best;
}

// Bytes through a rank's link per byte of the buffer.
double bus_factor(CollectiveKind kind, double n) {
  switch (kind) {
    case CollectiveKind::kReduce:
    case CollectiveKind::kBroadcast:
      return 1;
    case CollectiveKind::kAllReduce:
      return 2 * (n - 1) / n;
    case CollectiveKind::kAllGather:
    case CollectiveKind::kReduceScatter:
    case CollectiveKind::kAllToAll:
      break;
  }
  return (n - 1) / n;
}

double hops(CollectiveKind kind, double n) {
  return kind == CollectiveKind::kAllReduce ? 2 * (n - 1) : n - 1;
}

}  // namespace

double collective_microseconds(const LinkProfile& link, CollectiveKind kind, int participants,
                               double bytes) {
  if (participants < 2) return 0;
  if (const CollectiveProfile* c = nearest(link, kind, participants)) {
    return curve_microseconds(c->curve, bytes) * bus_factor(kind, participants) /
           bus_factor(kind, c->participants);
  }
  return hops(kind, participants) * link.latency_us.value +
         bytes * bus_factor(kind, participants) / (link.large_message_gb_per_s() * 1e3);
}

std::string collective_text(const LinkProfile& link, CollectiveKind kind, int participants) {
  const CollectiveProfile* c = nearest(link, kind, participants);
  if (c == nullptr) {
    return fmt::format("ring at {:.3g} GB/s of {} ({})", link.large_message_gb_per_s(), link.name,
                       provenance_text(link.from, link.source, link.error));
  }
  return fmt::format("curve of {} of {} GPUs{} ({})", link.name, c->participants,
                     c->participants == participants ? "" : ", scaled by the bytes per link",
                     provenance_text(c->from, c->source, c->error));
}

}  // namespace stagesim
