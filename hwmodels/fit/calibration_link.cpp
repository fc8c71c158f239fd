#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "hwmodels/fit/calibration.hpp"
#include "hwmodels/logs/log_text.hpp"
#include "hwmodels/logs/nccl_run.hpp"

namespace stagesim {
namespace {

constexpr const char* kOneWay =
    "feed a one-way measurement: osu_latency with device buffers (D D), p2pBandwidthLatencyTest or "
    "nvbandwidth within a node, ib_write_lat -a between nodes, or stagesim-probe";

constexpr double kEqualPairs = 1.1;  // pairs that differ by more are not one kind of link

using Key = std::pair<Timed, int>;
struct Samples {
  Curve out_of_place, in_place;
  std::set<std::string> sources;
};

std::map<Key, Samples> samples_of(const std::vector<LogReading>& readings) {
  std::map<Key, Samples> all;
  for (const LogReading& reading : readings) {
    for (const LogPoint& p : reading.points) {
      if (p.streamed) continue;
      // Two ranks or a ring: what passes one link is the same.
      const bool message = p.what == Timed::kSend || p.what == Timed::kExchange;
      Samples& samples = all[{p.what, message ? 2 : p.participants}];
      (p.in_place ? samples.in_place : samples.out_of_place).emplace_back(p.bytes, p.microseconds);
      samples.sources.insert(source_of(reading));
    }
  }
  return all;
}

// Median relative difference of the two halves of a log at equal sizes.
double difference(const Curve& a, const Curve& b) {
  std::map<double, double> times(a.begin(), a.end());
  std::vector<double> errors;
  for (const auto& [bytes, us] : b) {
    const auto at = times.find(bytes);
    if (at != times.end()) errors.push_back(std::abs(us / at->second - 1));
  }
  return median_of(std::move(errors));
}

MeasuredCurve curve_from(Key key, const Curve& samples, std::string source) {
  MeasuredCurve curve{.what = key.first, .participants = key.second};
  curve.clean = clean_curve(samples);
  curve.held_out = held_out_error(samples);
  if (curve.clean.points.size() >= 2) curve.compact = fit_segments(curve.clean.points, 3);
  curve.source = std::move(source);
  return curve;
}

const LogRate* find_rate(const LogReading& reading, Timed what, bool latency) {
  for (const char* preferred : {"write_ce", "P2P=Enabled", "read_ce", ""}) {
    for (const LogRate& rate : reading.rates) {
      if (rate.what == what && rate.latency == latency && rate.between_gpus && rate.peer_to_peer &&
          contains(rate.test, preferred))
        return &rate;
    }
  }
  return nullptr;
}

// latency + bytes / rate at every power of two, close enough for straight lines in log-log.
Curve line_points(double latency_us, double gb_per_s) {
  Curve curve;
  for (double bytes = 16; bytes <= 1024.0 * 1024 * 1024; bytes *= 2)
    curve.emplace_back(bytes, latency_us + bytes / gb_per_s / 1e3);
  return curve;
}

// Copy benchmarks give one rate and one latency per pair. Both may come from different files.
void add_rates(std::vector<MeasuredCurve>& curves, const std::vector<LogReading>& readings,
               Problems& problems) {
  const LogRate* latency = nullptr;
  const LogReading* timed = nullptr;
  for (const LogReading& reading : readings) {
    if (latency == nullptr) {
      latency = find_rate(reading, Timed::kSend, true);
      timed = &reading;
    }
  }
  for (const Timed what : {Timed::kSend, Timed::kExchange}) {
    for (const LogReading& reading : readings) {
      const LogRate* rate = find_rate(reading, what, false);
      if (rate == nullptr) continue;
      const bool swept = std::any_of(curves.begin(), curves.end(),
                                     [&](const MeasuredCurve& c) { return c.what == what; });
      if (swept) break;  // a sweep of sizes knows more
      if (latency == nullptr) {
        problems.add("{}: {}: a rate of {:.1f} GB/s without a latency; {}", reading.file,
                     rate->test, rate->value, kOneWay);
        break;
      }
      std::string source = fmt::format("{:.2f} us and {:.2f} GB/s of {}", latency->value,
                                       rate->value, source_of(reading));
      if (timed != &reading) source += ", latency of " + source_of(*timed);
      MeasuredCurve curve =
          curve_from({what, 2}, line_points(latency->value, rate->value), std::move(source));
      curve.held_out.reset();
      curve.from_rates = true;
      for (const LogRate* value : {latency, rate}) {
        if (value->highest > kEqualPairs * value->lowest)
          curve.notes.push_back(fmt::format("{}: {} pairs from {:.4g} to {:.4g}; the median counts",
                                            value->test, value->pairs, value->lowest,
                                            value->highest));
      }
      curves.push_back(std::move(curve));
      break;
    }
  }
}

void report_streamed(const std::vector<MeasuredCurve>& curves,
                     const std::vector<LogReading>& readings, Problems& problems) {
  for (const LogReading& reading : readings) {
    const bool streamed = std::any_of(reading.points.begin(), reading.points.end(),
                                      [](const LogPoint& p) { return p.streamed; });
    if (!streamed || !curves.empty()) continue;
    problems.add(
        "{}: a bandwidth test keeps many messages in flight, so its times hold no latency; {} "
        "beside it",
        reading.file, kOneWay);
  }
}

std::optional<CollectiveKind> collective_of(Timed what) {
  switch (what) {
    case Timed::kAllReduce:
      return CollectiveKind::kAllReduce;
    case Timed::kReduce:
      return CollectiveKind::kReduce;
    case Timed::kBroadcast:
      return CollectiveKind::kBroadcast;
    case Timed::kAllGather:
      return CollectiveKind::kAllGather;
    case Timed::kReduceScatter:
      return CollectiveKind::kReduceScatter;
    case Timed::kAllToAll:
      return CollectiveKind::kAllToAll;
    case Timed::kSend:
    case Timed::kExchange:
    case Timed::kGather:
    case Timed::kScatter:
    case Timed::kUnknown:
      break;
  }
  return {};
}

void put_collective(LinkProfile& link, CollectiveKind kind, const MeasuredCurve& curve) {
  CollectiveProfile fresh{.kind = kind,
                          .participants = curve.participants,
                          .curve = curve.clean.points,
                          .from = curve.from,
                          .source = curve.source,
                          .error = {}};
  if (curve.held_out) fresh.error = curve.held_out->all.median;
  for (CollectiveProfile& old : link.collectives) {
    if (old.kind == kind && old.participants == curve.participants) {
      old = std::move(fresh);
      return;
    }
  }
  link.collectives.push_back(std::move(fresh));
}

}  // namespace

std::vector<MeasuredCurve> measured_curves(const std::vector<LogReading>& readings,
                                           Problems& problems) {
  std::vector<MeasuredCurve> curves;
  for (const auto& [key, samples] : samples_of(readings)) {
    const Curve& times = samples.out_of_place.empty() ? samples.in_place : samples.out_of_place;
    MeasuredCurve curve =
        curve_from(key, times, fmt::format("{}", fmt::join(samples.sources, "; ")));
    curve.halves = difference(samples.out_of_place, samples.in_place);
    const std::string defect = curve_defect(curve.clean.points);
    if (!defect.empty()) problems.add("{}: {}: {}", curve.source, curve.name(), defect);
    curves.push_back(std::move(curve));
  }
  add_rates(curves, readings, problems);
  report_streamed(curves, readings, problems);
  for (MeasuredCurve& curve : curves) curve.from = provenance_of(readings);
  return curves;
}

void update_link(LinkProfile& link, const std::vector<MeasuredCurve>& curves,
                 const CalibrationOptions& options, Problems& problems) {
  std::string one_way = link.source, exchange;
  for (const MeasuredCurve& curve : curves) {
    if (curve.what == Timed::kSend) {
      link.curve = curve.clean.points;
      link.from = curve.from;
      link.error.reset();
      if (curve.held_out) link.error = curve.held_out->all.median;
      one_way = curve.source;
    } else if (curve.what == Timed::kExchange) {
      link.exchange = curve.clean.points;
      exchange = curve.source;
    } else if (const auto kind = collective_of(curve.what)) {
      put_collective(link, *kind, curve);
    } else {
      problems.add("{}: profiles hold no {} curves yet", curve.source, text(curve.what));
    }
  }
  if (link.curve.empty() && !link.exchange.empty() && options.exchange_as_send) {
    link.curve = link.exchange;
    link.from = Provenance::kAssumed;
    one_way = "an exchange stands in for one way, which takes no longer";
  }
  link.source = one_way + (exchange.empty() ? "" : "; exchange: " + exchange);
  if (!link.curve.empty() || curves.empty()) return;
  const MeasuredCurve& first = curves.front();
  if (first.what == Timed::kExchange) {
    problems.add(
        "{}: sendrecv_perf sends and receives at once, so its times are of an exchange and not of "
        "a "
        "one-way hand-off, and link '{}' has no one-way times; {}; or add to a link that has them "
        "(--profile BASE), or let the exchange stand in, marked assumed (--exchange-as-send)",
        first.source, link.name, kOneWay);
  } else {
    problems.add(
        "{}: {}: a collective does not tell the time of one message (here busbw is algbw x {:.4g}, "
        "and neither is a link's rate), and link '{}' has no one-way times; {}; or add to a link "
        "that has them (--profile BASE)",
        first.source, first.name(), bus_factor(first.what, std::max(first.participants, 2)),
        link.name, kOneWay);
  }
}

}  // namespace stagesim
