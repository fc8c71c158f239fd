#include "tests/simgrid/simgrid_replay.hpp"

#include <fmt/format.h>

#include <chrono>
#include <deque>
#include <functional>
#include <queue>
#include <simgrid/s4u.hpp>

namespace s4u = simgrid::s4u;

namespace stagesim::test {
namespace {

// The hosts of one program: one core per rank, and one of many for what no rank computes.
struct Platform {
  std::vector<s4u::Host*> rank;
  s4u::Host* elsewhere = nullptr;
};

void add_routes(s4u::NetZone& zone, const std::string& name, const Program& program,
                const Platform& platform) {
  const Activities& what = *program.what;
  std::vector<const s4u::Link*> shared;
  for (const double bytes_per_ns : program.network.gb_per_s) {
    const std::string link = fmt::format("{} link {}", name, shared.size());
    shared.push_back(zone.create_link(link, bytes_per_ns)->set_latency(0.0)->seal());
  }
  for (std::size_t l = platform.rank.size() + 1; l < what.lanes.size(); ++l) {
    const Lane& lane = what.lanes[l];
    if (lane.from_rank == lane.to_rank) continue;
    std::vector<s4u::LinkInRoute> route;
    if (program.network.shared()) {
      for (const LinkId link : program.network.route[l]) route.emplace_back(shared[link]);
    } else {
      // One byte for each nanosecond that the message occupies it.
      const std::string link = fmt::format("{} lane {}", name, l);
      route.emplace_back(zone.create_link(link, 1.0)->set_latency(0.0)->seal());
    }
    const auto host = [&](int rank) { return platform.rank[static_cast<std::size_t>(rank)]; };
    zone.add_route(host(lane.from_rank)->get_netpoint(), host(lane.to_rank)->get_netpoint(),
                   nullptr, nullptr, route, false);
  }
}

Platform make_platform(s4u::NetZone& zone, const std::string& name, const Program& program) {
  Platform platform;
  for (int r = 0; r < program.what->shape.ranks; ++r)
    platform.rank.push_back(zone.create_host(fmt::format("{} rank {}", name, r), 1.0)->seal());
  platform.elsewhere = zone.create_host(name + " elsewhere", 1.0)->set_core_count(1 << 20)->seal();
  add_routes(zone, name, program, platform);
  return platform;
}

class Driver {
 public:
  Driver(const Program& program, const Platform& platform)
      : program_(program),
        platform_(platform),
        unmet_(program.unmet),
        bytes_(program.what->size(), 0),
        waiting_(program.what->lanes.size()),
        taken_(program.what->lanes.size(), false),
        end_(program.what->size(), 0) {
    for_each_transfer(*program.what, [&](TaskId t, const Transfer& x) { bytes_[t] = x.bytes; });
  }

  std::vector<double> run() {
    began_ = s4u::Engine::get_clock();
    for (TaskId t = 0; t < program_.what->size(); ++t)
      if (unmet_[t] == 0) begin(t);
    settle();
    while (!activity_.empty()) {
      s4u::Activity::wait_any(activity_);
      collect();
      settle();
    }
    return end_;
  }

 private:
  // A message is first on its links, then on its way: its latency keeps nobody else off the links.
  enum class Part : std::uint8_t { kOnLinks, kLast };

  const Lane& lane(TaskId t) const { return program_.what->lanes[program_.what->lane[t]]; }
  bool is_message(TaskId t) const { return lane(t).from_rank != lane(t).to_rank; }

  void follow(const s4u::ActivityPtr& activity, TaskId t, Part part) {
    activity_.push_back(activity);
    of_.push_back({t, part});
  }

  void pass_time(TaskId t, Nanos time, s4u::Host* host) {
    if (time.count() == 0) return over_.push(t);
    const s4u::ExecPtr exec = s4u::Exec::init();
    exec->set_flops_amount(static_cast<double>(time.count()))->set_host(host)->start();
    follow(exec, t, Part::kLast);
  }

  void begin(TaskId t) {
    const LaneId l = program_.what->lane[t];
    if (!is_message(t)) {
      const bool computes = l < platform_.rank.size();
      return pass_time(t, program_.duration[t], computes ? platform_.rank[l] : platform_.elsewhere);
    }
    if (program_.network.shared()) return occupy(t);
    waiting_[l].push_back(t);
    serve(l);
  }

  void serve(LaneId l) {
    while (!taken_[l] && !waiting_[l].empty()) {
      const TaskId t = waiting_[l].front();
      waiting_[l].pop_front();
      taken_[l] = true;
      occupy(t);
    }
  }

  void occupy(TaskId t) {
    const Nanos busy = program_.duration[t] - lane(t).latency;
    const bool shared = program_.network.shared();
    if (busy.count() == 0) return leave_links(t);
    // Without a size it takes nothing from others, and nobody slows it.
    if (shared && bytes_[t] == 0) return pass_time(t, program_.duration[t], platform_.elsewhere);
    const auto host = [&](int rank) { return platform_.rank[static_cast<std::size_t>(rank)]; };
    const std::int64_t size = shared ? bytes_[t] : busy.count();
    const s4u::CommPtr comm = s4u::Comm::sendto_init();
    comm->set_payload_size(static_cast<std::uint64_t>(size));
    comm->set_rate(static_cast<double>(size) / static_cast<double>(busy.count()));
    comm->set_source(host(lane(t).from_rank));
    comm->set_destination(host(lane(t).to_rank));  // it starts once it has both
    follow(comm, t, Part::kOnLinks);
  }

  void leave_links(TaskId t) {
    pass_time(t, lane(t).latency, platform_.elsewhere);
    if (program_.network.shared()) return;
    const LaneId l = program_.what->lane[t];
    taken_[l] = false;
    serve(l);
  }

  // All that is over at this instant.
  void collect() {
    std::size_t kept = 0;
    const std::size_t had = activity_.size();
    std::vector<TaskId> left_links;
    for (std::size_t i = 0; i < had; ++i) {
      if (activity_[i]->test()) {
        if (of_[i].second == Part::kLast)
          over_.push(of_[i].first);
        else
          left_links.push_back(of_[i].first);
      } else {
        activity_[kept] = activity_[i];
        of_[kept++] = of_[i];
      }
    }
    activity_.resize(kept);
    of_.resize(kept);
    for (const TaskId t : left_links) leave_links(t);
  }

  void settle() {
    while (!over_.empty()) {
      const TaskId t = over_.top();
      over_.pop();
      end_[t] = s4u::Engine::get_clock() - began_;
      for (std::uint32_t i = program_.first_next[t]; i < program_.first_next[t + 1]; ++i)
        if (--unmet_[program_.next[i]] == 0) begin(program_.next[i]);
    }
  }

  const Program& program_;
  const Platform& platform_;
  std::vector<std::uint32_t> unmet_;
  std::vector<std::int64_t> bytes_;          // [task]: of a message
  std::vector<std::deque<TaskId>> waiting_;  // [lane]
  std::vector<bool> taken_;                  // [lane]
  std::vector<double> end_;
  std::priority_queue<TaskId, std::vector<TaskId>, std::greater<>> over_;
  std::vector<s4u::ActivityPtr> activity_;
  std::vector<std::pair<TaskId, Part>> of_;  // beside activity_
  double began_ = 0;
};

// No factors, weights or bounds: what a plain flow model says. Clocks reach 1e10 "seconds", so what
// counts as the same instant is set to what a double of that size resolves.
void configure() {
  for (const char* setting :
       {"network/model:CM02", "network/crosstraffic:0", "network/latency-factor:1",
        "network/bandwidth-factor:1", "network/weight-S:0", "network/TCP-gamma:0"})
    s4u::Engine::set_config(setting);
  const auto either = [](const std::string& now, const std::string& before) {  // 3.34 renamed them
    try {
      s4u::Engine::set_config(now);
    } catch (const std::out_of_range&) {
      s4u::Engine::set_config(before);
    }
  };
  either("precision/timing:1e-5", "surf/precision:1e-5");
  either("precision/work-amount:1e-5", "maxmin/precision:1e-5");
}

}  // namespace

std::vector<SimgridRun> run_in_simgrid(const std::vector<Program>& programs) {
  int argc = 1;
  char name[] = "simgrid_check";
  char* arguments[] = {name, nullptr};
  s4u::Engine engine(&argc, arguments);
  configure();
  s4u::NetZone* root = s4u::create_full_zone("all");
  std::vector<Platform> platforms;
  for (std::size_t i = 0; i < programs.size(); ++i)
    platforms.push_back(make_platform(*root, fmt::format("program {}", i), programs[i]));
  root->seal();
  std::vector<SimgridRun> runs(programs.size());
  s4u::Actor::create("driver", platforms.front().elsewhere, [&] {
    for (std::size_t i = 0; i < programs.size(); ++i) {
      const auto began = std::chrono::steady_clock::now();
      runs[i].end = Driver(programs[i], platforms[i]).run();
      runs[i].seconds =
          std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    }
  });
  engine.run();
  return runs;
}

}  // namespace stagesim::test
