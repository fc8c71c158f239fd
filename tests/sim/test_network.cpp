#include <limits>
#include <map>
#include <random>

#include "sim/bubble.hpp"
#include "sim/network.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/random_program.hpp"
#include "tests/support/runs.hpp"

using namespace stagesim;
using namespace stagesim::test;

namespace {

constexpr Nanos ns(std::int64_t n) { return Nanos{n}; }

// Rates by the definition: raise all that are not fixed alike until one meets its cap or a link is
// full, fix those, go on. All flows at once, no components.
std::vector<double> textbook_rates(const Network& network,
                                   const std::vector<std::vector<LinkId>>& route,
                                   const std::vector<double>& cap) {
  std::vector<double> rate(route.size(), 0);
  std::vector<bool> fixed(route.size(), false);
  const auto room = [&](LinkId link) {
    double used = 0;
    int open = 0;
    for (std::size_t f = 0; f < route.size(); ++f) {
      if (std::count(route[f].begin(), route[f].end(), link) == 0) continue;
      used += rate[f];
      open += fixed[f] ? 0 : 1;
    }
    return std::pair{network.gb_per_s[link] - used, open};
  };
  while (std::count(fixed.begin(), fixed.end(), false) > 0) {
    double step = std::numeric_limits<double>::infinity();
    for (LinkId link = 0; link < network.gb_per_s.size(); ++link) {
      if (const auto [left, open] = room(link); open > 0) step = std::min(step, left / open);
    }
    for (std::size_t f = 0; f < route.size(); ++f)
      if (!fixed[f]) step = std::min(step, cap[f] - rate[f]);
    for (std::size_t f = 0; f < route.size(); ++f)
      if (!fixed[f]) rate[f] += step;
    for (std::size_t f = 0; f < route.size(); ++f) {
      const auto full = [&](LinkId link) {
        return room(link).first <= 1e-9 * network.gb_per_s[link];
      };
      if (rate[f] >= cap[f] * (1 - 1e-12) || std::any_of(route[f].begin(), route[f].end(), full)) {
        fixed[f] = true;
      }
    }
  }
  return rate;
}

// A second engine for a fixed order, slow and obvious: time is a double, every rate is computed
// again at every event. Returns the end of every task.
std::vector<double> slow_shared_replay(const Program& program) {
  const Activities& what = *program.what;
  struct Running {
    TaskId task;
    double left;  // ns of a task; of a message on its links, bytes
    bool on_links;
  };
  std::vector<std::uint32_t> unmet = program.unmet;
  std::vector<double> end(what.size(), -1), bytes(what.size(), 0);
  for_each_transfer(what, [&](TaskId t, const Transfer& x) { bytes[t] = double(x.bytes); });
  std::vector<Running> running;
  const auto latency = [&](TaskId t) { return what.lanes[what.lane[t]].latency; };
  const auto occupied = [&](TaskId t) {
    return double((program.duration[t] - latency(t)).count());
  };
  const auto start = [&](TaskId t) {
    const bool message = !program.network.route[what.lane[t]].empty();
    if (message && occupied(t) > 0) return running.push_back({t, bytes[t], true});
    running.push_back({t, double(program.duration[t].count()), false});
  };
  for (TaskId t = 0; t < what.size(); ++t)
    if (unmet[t] == 0) start(t);
  double now = 0;
  while (!running.empty()) {
    std::vector<std::vector<LinkId>> route;
    std::vector<double> cap;
    for (const Running& r : running) {
      if (!r.on_links) continue;
      route.push_back(program.network.route[what.lane[r.task]]);
      cap.push_back(bytes[r.task] / occupied(r.task));
    }
    const std::vector<double> rate = textbook_rates(program.network, route, cap);
    double step = std::numeric_limits<double>::infinity();
    std::size_t k = 0;
    for (const Running& r : running)
      step = std::min(step, r.on_links ? r.left / rate[k++] : r.left);
    k = 0;
    for (Running& r : running) r.left -= step * (r.on_links ? rate[k++] : 1);
    now += step;
    std::vector<Running> still;
    std::vector<TaskId> over;
    for (const Running& r : running) {
      if (r.left > (r.on_links ? 1e-6 : 1e-7)) {
        still.push_back(r);
      } else if (r.on_links) {
        still.push_back({r.task, double(latency(r.task).count()), false});
      } else {
        over.push_back(r.task);
      }
    }
    running = still;
    for (const TaskId t : over) {
      end[t] = now;
      for (std::uint32_t i = program.first_next[t]; i < program.first_next[t + 1]; ++i)
        if (--unmet[program.next[i]] == 0) start(program.next[i]);
    }
  }
  return end;
}

// Shared, and a thousand times as long.
Costs fair(const Costs& costs) {
  Costs longer = times_longer(costs, 1000);
  longer.sharing.fair = true;
  for (std::int64_t& bytes : longer.message_bytes) bytes = std::max<std::int64_t>(1000 * bytes, 1);
  return longer;
}

// Two ranks on each of two nodes; a message of 100 bytes between nodes occupies its link for 100 ns
// and arrives 7 ns later.
Costs two_nodes(int stages, int nics_per_node) {
  Costs costs;
  costs.stages.assign(std::size_t(stages), {.forward = ns(10), .backward = ns(20)});
  costs.message_bytes.assign(std::size_t(stages), 100);
  const std::vector<Nanos> apart(std::size_t(stages), ns(107)), near(std::size_t(stages), ns(11));
  costs.links = {{.name = "within", .latency = ns(1), .transfer_time = near},
                 {.name = "between", .latency = ns(7), .transfer_time = apart}};
  costs.ranks_per_node = 2;
  costs.sharing = {.fair = true, .gpus_per_node = 2, .nics_per_node = nics_per_node};
  return costs;
}

Nanos end_of(const Timeline& timeline, const std::string& cell, int from) {
  const Activities& what = *timeline.what;
  for (TaskId t = 0; t < what.size(); ++t) {
    if (what.lanes[what.lane[t]].from_rank == from &&
        cell_text(what.op[t], what.shape.pipelines) == cell)
      return timeline.end[t];
  }
  FAIL("no " << cell << " from rank " << from);
  return {};
}

}  // namespace

TEST_CASE("two messages on one link split it, and the rest of the longer one has it alone",
          "[network]") {
  const Network network{.gb_per_s = {10}, .route = {{0}}};
  FairShares shares(network);
  // 100 bytes at 10 per ns; the second starts at 5, when 50 are left of the first.
  const std::uint32_t a = shares.start(network.route[0], 100, ns(10), ns(0));
  CHECK(shares.end(a) == ns(10));
  const std::uint32_t b = shares.start(network.route[0], 100, ns(10), ns(5));
  CHECK(shares.end(a) == ns(15));
  CHECK(shares.end(b) == ns(25));
  shares.finish(a, ns(15));
  CHECK(shares.end(b) == ns(20));
}

TEST_CASE("who cannot use an equal share leaves the rest to the others", "[network]") {
  const Network network{.gb_per_s = {10}, .route = {{0}}};
  FairShares shares(network);
  const std::uint32_t slow = shares.start(network.route[0], 20, ns(10), ns(0));  // 2 bytes per ns
  const std::uint32_t fast = shares.start(network.route[0], 80, ns(8), ns(0));   // 10 alone, gets 8
  CHECK(shares.end(slow) == ns(10));
  CHECK(shares.end(fast) == ns(10));
}

TEST_CASE("max-min over two links: 2, 8 and 2", "[network]") {
  // a crosses both, b the wide one alone, c the narrow one alone.
  const Network network{.gb_per_s = {10, 4}, .route = {{0, 1}, {0}, {1}}};
  FairShares shares(network);
  const std::uint32_t a = shares.start(network.route[0], 40, ns(10), ns(0));
  const std::uint32_t b = shares.start(network.route[1], 80, ns(8), ns(0));
  const std::uint32_t c = shares.start(network.route[2], 40, ns(10), ns(0));
  CHECK(shares.end(a) == ns(20));
  CHECK(shares.end(b) == ns(10));
  CHECK(shares.end(c) == ns(20));
}

TEST_CASE("what shares no link with a change keeps its end", "[network]") {
  const Network network{.gb_per_s = {10, 10}, .route = {{0}, {1}}};
  FairShares shares(network);
  const std::uint32_t a = shares.start(network.route[0], 100, ns(10), ns(0));
  const std::uint32_t b = shares.start(network.route[1], 100, ns(10), ns(3));
  CHECK(shares.moved() == std::vector<std::uint32_t>{b});
  CHECK(shares.end(a) == ns(10));
}

TEST_CASE("rates of random messages over random links are the textbook's", "[network]") {
  std::mt19937 random(5);
  const auto draw = [&](int low, int high) {
    return std::uniform_int_distribution<int>(low, high)(random);
  };
  for (int round = 0; round < 300; ++round) {
    Network network;
    const int links = draw(1, 6), flows = draw(1, 8);
    for (int l = 0; l < links; ++l) network.gb_per_s.push_back(draw(1, 40));
    std::vector<double> cap;
    for (int f = 0; f < flows; ++f) {
      std::vector<LinkId> all;
      for (int l = 0; l < links; ++l) all.push_back(LinkId(l));
      std::shuffle(all.begin(), all.end(), random);
      all.resize(std::size_t(draw(1, links)));
      network.route.push_back(all);
      cap.push_back(draw(1, 40));
    }
    FairShares shares(network);
    constexpr std::int64_t kLong = 1'000'000'000;
    std::vector<std::uint32_t> slots;
    for (int f = 0; f < flows; ++f) {
      const double bytes = cap[std::size_t(f)] * double(kLong);
      slots.push_back(shares.start(network.route[std::size_t(f)], bytes, ns(kLong), ns(0)));
    }
    const std::vector<double> rates = textbook_rates(network, network.route, cap);
    for (std::size_t f = 0; f < slots.size(); ++f) {
      const double got = cap[f] * double(kLong) / double(shares.end(slots[f]).count());
      CHECK(std::abs(got / rates[f] - 1) < 1e-8);
    }
  }
}

TEST_CASE("a message alone takes exactly its measured time", "[network]") {
  // GPipe's last forward: nothing else is under way when a single micro-batch crosses.
  const Timeline t = run({"gpipe", 4, 1}, two_nodes(4, 2));
  // F 10, within 11, F 10, between 107, F 10, within 11, F 10.
  CHECK(end_of(t, "1SEND_F0", 1) == ns(10 + 11 + 10 + 107));
  CHECK(end_of(t, "3F0", 3) == ns(10 + 11 + 10 + 107 + 10 + 11 + 10));
}

TEST_CASE("two ranks of a node with one network card split it, with a card each they do not",
          "[network]") {
  // Stages 0 and 1 lie on node 0 and send to node 1 at the same time: stage 0 on rank 0 to rank 2,
  // stage 2 (also at rank 1) to rank 3 in the other pipeline's direction.
  const Schedule s = parse_schedule(
      "# n ranks=4 stages=2 pipelines=2 microbatches=2 window=2 rule=flush optimizer=replicated\n"
      "# rank of each stage: 0 2 | 1 3\n"
      "0F0@0 0B0@0 0U0@0\n0F1@1 0B1@1 0U0@1\n1F0@0 1B0@0 1U0@0\n1F1@1 1B1@1 1U0@1\n",
      "n.txt");
  const Timeline apart = replay(lower(s, two_nodes(2, 2)));
  CHECK(end_of(apart, "0SEND_F0@0", 0) == ns(10 + 107));
  CHECK(end_of(apart, "0SEND_F1@1", 1) == ns(10 + 107));
  const Timeline shared = replay(lower(s, two_nodes(2, 1)));
  CHECK(end_of(shared, "0SEND_F0@0", 0) == ns(10 + 200 + 7));
  CHECK(end_of(shared, "0SEND_F1@1", 1) == ns(10 + 200 + 7));
  // Half of the time that rank 0's gradient is on the link is the other gradient's doing.
  const Bubble b = bubble(shared, {IntervalKind::kWall});
  CHECK(b.ranks[0].by_cause[std::size_t(IdleCause::kLinkShared)] == ns(100));
}

TEST_CASE("random programs: the second engine's ends, a nanosecond per change of rate",
          "[network]") {
  std::mt19937 random(11);
  int slowed = 0;
  for (int round = 0; round < 150; ++round) {
    const RandomShape limits{.most_ranks = 6, .several_pipelines = true};
    const Schedule s = random_schedule(random, limits);
    Costs costs = fair(random_costs(random, s, limits));
    for (LinkClass& link : costs.links) {
      if (round % 3 == 0) link.exchange_gb_per_s = 0.4;
    }
    const Program program = lower(s, costs);
    const Timeline t = replay(program);
    const std::vector<double> slow = slow_shared_replay(program);
    const double allowed = double(4 * program.what->transfers.size()) + 1;
    for (TaskId task = 0; task < program.what->size(); ++task) {
      const Op& op = program.what->op[task];
      if (op.pair != PairPart::kNone) continue;
      INFO(round << ": " << cell_text(op, s.shape.pipelines));
      CHECK(std::abs(double(t.end[task].count()) - slow[task]) <= allowed);
      if (is_transfer(op.kind) && t.duration(task) > program.duration[task] + Nanos{1}) ++slowed;
    }
  }
  CHECK(slowed > 100);
}

TEST_CASE("where no two messages ever meet, sharing changes nothing", "[network]") {
  for (const char* name : {"gpipe", "1f1b", "zb-h1"}) {
    Costs shares = two_nodes(2, 2);
    shares.ranks_per_node = 0;
    shares.links.resize(1);
    Costs own = shares;
    own.sharing.fair = false;
    const Timeline plain = run({name, 2, 1}, own), shared = run({name, 2, 1}, shares);
    CHECK(plain.start == shared.start);
    CHECK(plain.end == shared.end);
  }
}
