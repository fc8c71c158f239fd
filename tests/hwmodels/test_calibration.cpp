#include "hwmodels/fit/calibration.hpp"
#include "hwmodels/logs/nccl_run.hpp"
#include "hwmodels/profile_writer.hpp"
#include "sim/base/error.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/nccl_log.hpp"

namespace stagesim {
namespace {

using test::nccl_log;
using test::NcclLayout;

std::string all_of(const Problems& problems) {
  std::string text;
  for (const std::string& line : problems.lines()) text += line + "\n";
  return text;
}

// Curves of logs that must have no problems.
std::vector<MeasuredCurve> curves_of(const std::vector<std::string>& logs,
                                     const CalibrationOptions& options = {}) {
  std::vector<LogReading> readings;
  for (const std::string& log : logs) readings.push_back(read_log(log, "log.txt"));
  Problems problems;
  settle(readings, options, problems);
  const auto curves = measured_curves(readings, problems);
  CHECK(all_of(problems).empty());
  return curves;
}

std::string refusal(const std::vector<std::string>& logs, const CalibrationOptions& options = {}) {
  std::vector<LogReading> readings;
  for (const std::string& log : logs) readings.push_back(read_log(log, "log.txt"));
  Problems problems;
  settle(readings, options, problems);
  if (problems.empty()) {
    LinkProfile link{.name = "wire"};
    update_link(link, measured_curves(readings, problems), options, problems);
  }
  return all_of(problems);
}

const std::string kOsu =
    "# OSU MPI-CUDA Latency Test v7.3\n# Size Latency (us)\n8 3.0\n1048576 30.0\n67108864 1500.0\n";

TEST_CASE("NVIDIA/nccl-tests#214, #104: old and new columns give the same link model",
          "[hwmodels][calibrate]") {
  // 20 us and 25 GB/s, in the layout of before v2.13 without ranks and in that of after.
  std::string old_log = nccl_log({.version = "v2.0", .middle = ""});
  while (old_log.find("Rank") != std::string::npos) {
    const std::size_t at = old_log.rfind('\n', old_log.find("Rank"));
    old_log.erase(at, old_log.find('\n', at + 1) - at);
  }
  const auto fresh = curves_of({nccl_log({})}, {.collective = Timed::kExchange});
  const auto old = curves_of({old_log}, {.collective = Timed::kExchange});
  REQUIRE(fresh.size() == 1);
  REQUIRE(old.size() == 1);
  CHECK(fresh[0].clean.points == old[0].clean.points);
  CHECK(fresh[0].clean.points.size() == 7);
  const SegmentFit fit = fit_segments(fresh[0].clean.points, 1);
  CHECK(fit.segments[0].alpha_us == Approx(20).epsilon(0.02));
  CHECK(fit.segments[0].gb_per_s == Approx(25).epsilon(0.02));
  CHECK(fresh[0].halves == Approx(0.5 / (20 + (8 << 20) / 25e3)).epsilon(0.05));
}

TEST_CASE("NVIDIA/nccl-tests#361: GB/s is 1e9 bytes", "[hwmodels][calibrate]") {
  // One row of a public all-gather log: 67108864 bytes in 292.3 us, here beside a half of it.
  const Curve curve{{33554432, 146.15}, {67108864, 292.3}};
  CHECK(67108864 / 292.3 / 1e3 == Approx(229.59).epsilon(1e-4));
  CHECK(curve_microseconds(curve, 1e9) == Approx(4356).epsilon(1e-3));
}

TEST_CASE("NVIDIA/nccl-tests#159: an all-reduce tells nothing of one message",
          "[hwmodels][calibrate][errors]") {
  // 1e9 bytes in 10 ms on 8 ranks: algbw 100, busbw 175.
  CHECK(100 * bus_factor(Timed::kAllReduce, 8) == 175);
  CHECK(bus_factor(Timed::kExchange, 2) == 1);
  const std::string text = refusal({nccl_log({.ranks = 8, .factor = 1.75})});
  CHECK(
      text.find("a collective does not tell the time of one message (here busbw is algbw x 1.75") !=
      std::string::npos);
  CHECK(text.find("osu_latency") != std::string::npos);
}

TEST_CASE("inference-sim#1661: latency is paid by every message", "[hwmodels][calibrate]") {
  Curve with, without;
  for (double bytes = 512; bytes <= (1 << 24); bytes *= 1.01) {
    with.emplace_back(bytes, 2 + bytes / 50e3);
    without.emplace_back(bytes, bytes / 50e3);
  }
  CHECK(186 * curve_microseconds(with, 1.2e6) == Approx(4836).epsilon(1e-3));
  CHECK(186 * curve_microseconds(without, 1.2e6) == Approx(4464).epsilon(1e-3));
  CHECK(186 * curve_microseconds(with, 8192) == Approx(402.5).epsilon(1e-3));
  CHECK(186 * curve_microseconds(without, 8192) == Approx(30.5).epsilon(2e-3));
}

TEST_CASE("scitix/sichek#52: a log of one size is refused", "[hwmodels][calibrate][errors]") {
  NcclLayout one{.alpha_us = 18, .sizes = {8}};
  const std::string text = refusal({nccl_log(one)}, {.collective = Timed::kExchange});
  CHECK(text.find("exchange: one size only (8 bytes in 18.00 us)") != std::string::npos);
}

TEST_CASE("an exchange is no one-way hand-off, beside one it has a curve of its own",
          "[hwmodels][calibrate][errors]") {
  const std::string ring = nccl_log({.program = "sendrecv_perf", .ranks = 4});
  CHECK(refusal({ring}).find("its times are of an exchange and not of a one-way hand-off") !=
        std::string::npos);
  LinkProfile link{.name = "wire"};
  Problems problems;
  update_link(link, curves_of({ring, kOsu}), {}, problems);
  CHECK(problems.empty());
  CHECK(link.curve == Curve{{8, 3}, {1048576, 30}, {67108864, 1500}});
  CHECK(link.exchange.size() == 7);
  CHECK(link.source ==
        "log.txt (OSU micro-benchmarks v7.3); exchange: log.txt (nccl-tests, Some GPU)");
}

TEST_CASE("an exchange may stand in for one way, marked assumed", "[hwmodels][calibrate]") {
  LinkProfile link{.name = "wire"};
  Problems problems;
  update_link(link, curves_of({nccl_log({.program = "sendrecv_perf"})}), {.exchange_as_send = true},
              problems);
  CHECK(problems.empty());
  CHECK(link.curve == link.exchange);
  CHECK(link.from == Provenance::kAssumed);
}

TEST_CASE("logs that leave the collective open need it from the user",
          "[hwmodels][calibrate][errors]") {
  CHECK(refusal({nccl_log({})}) ==
        "log.txt: does not name what it timed (nccl-tests does since v2.16.9), and its columns fit "
        "exchange, all_reduce; say which with --collective\n");
  CHECK(
      refusal({nccl_log({})}, {.collective = Timed::kAllGather})
          .find("--collective all_gather: the columns and busbw / algbw of this log fit exchange, "
                "all_reduce only") != std::string::npos);
  CHECK(refusal({kOsu}, {.collective = Timed::kAllReduce})
            .find("--collective all_reduce: has no effect") == 0);
}

TEST_CASE("an edited log is refused unless the user insists", "[hwmodels][calibrate][errors]") {
  NcclLayout edited{.program = "all_reduce_perf", .ranks = 8, .factor = 1.75};
  edited.average_offset = 9;
  CHECK(refusal({nccl_log(edited), kOsu}).find("--edited") != std::string::npos);
  const auto curves = curves_of({nccl_log(edited)}, {.edited = true});
  REQUIRE(curves.size() == 1);
  CHECK(curves[0].source == "log.txt (nccl-tests edited log, Some GPU)");
}

TEST_CASE("rates need a latency, streams are no latency", "[hwmodels][calibrate][errors]") {
  const std::string p2p =
      "Unidirectional P2P=Enabled Bandwidth (P2P Writes) Matrix (GB/s)\n   D\\D 0 1\n"
      "     0 777.25 50.00\n     1 50.00 780.17\n";
  const std::string latency =
      "P2P=Enabled Latency (P2P Writes) Matrix (us)\n   GPU 0 1\n 0 1.8 2.0\n 1 2.0 1.8\n";
  CHECK(refusal({p2p}).find("a rate of 50.0 GB/s without a latency") != std::string::npos);
  const auto curves = curves_of({p2p + latency});
  REQUIRE(curves.size() == 1);
  CHECK(curves[0].what == Timed::kSend);
  for (const double bytes : {1e3, 3e5, 1e6, 5e8}) {
    CHECK(curve_microseconds(curves[0].clean.points, bytes) ==
          Approx(2 + bytes / 50e3).epsilon(0.02));
  }
  CHECK(refusal({"# OSU MPI-CUDA Bandwidth Test v7.3\n# Size Bandwidth (MB/s)\n1048576 15000\n"})
            .find("a bandwidth test keeps many messages in flight") != std::string::npos);
}

TEST_CASE("a table of bytes and times is a link once the user says what was timed",
          "[hwmodels][calibrate]") {
  const std::string table =  // meta-pytorch/autoparallel#425
      "bytes,time_us\n524288,300.0\n1048576,448.62\n2097152,444.79\n4194304,700.0\n";
  CHECK(refusal({table}).find("log.txt: does not name what it timed") == 0);
  const auto curves = curves_of({table}, {.collective = Timed::kSend});
  REQUIRE(curves.size() == 1);
  CHECK(curves[0].what == Timed::kSend);
  CHECK(curves[0].clean.raised == 1);
  const auto named =
      curves_of({"kind,participants,bytes,time_ms\nall_reduce,8,1048576,0.5\n"
                 "all_reduce,8,4194304,1\nsend,2,8,0.003\nsend,2,1048576,0.03\n"});
  REQUIRE(named.size() == 2);
  CHECK(named[1].participants == 8);
  CHECK(named[1].clean.points == Curve{{1048576, 500}, {4194304, 1000}});
  CHECK(refusal({"bytes,time_us,colour\n"}).find("unknown column 'colour'") != std::string::npos);
  CHECK(refusal({"kind,bytes,us\nteleport,8,1\nsend,-1,1\nsend,8\n"}) ==
        "log.txt:2: kind: expected a name such as send or all_reduce, got 'teleport'\n"
        "log.txt:3: bytes: expected a number above 0, got '-1'\n"
        "log.txt:4: expected 3 cells as in the header, got 2\n");
}

TEST_CASE("a collective replaces that of the same kind and size", "[hwmodels][calibrate]") {
  LinkProfile link{.name = "wire", .curve = {{8, 3}, {1 << 20, 30}}, .source = "s"};
  Problems problems;
  const NcclLayout eight{.program = "all_reduce_perf", .ranks = 8, .factor = 1.75};
  NcclLayout slower = eight, four = eight;
  slower.alpha_us = 40;
  four.ranks = 4;
  four.factor = 1.5;
  update_link(link, curves_of({nccl_log(eight), nccl_log(four)}), {}, problems);
  update_link(link, curves_of({nccl_log(slower)}), {}, problems);
  CHECK(problems.empty());
  REQUIRE(link.collectives.size() == 2);
  CHECK(link.collectives[0].participants == 4);
  CHECK(link.collectives[0].curve[0].second == Approx(20 + (1 << 20) / 25e3).epsilon(1e-3));
  CHECK(link.collectives[1].curve[0].second == Approx(40 + (1 << 20) / 25e3).epsilon(1e-3));
  CHECK(link.curve.front().second == 3);
}

TEST_CASE("GEMMs of several devices need a choice", "[hwmodels][calibrate][errors]") {
  std::string table = "device,dtype,m,n,k,us\n";
  for (int i = 1; i <= 16; ++i) {
    for (const char* device : {"a", "b"})
      table += std::string(device) + ",bf16," + std::to_string(64 * i) + ",512,512,20\n";
  }
  const std::vector<LogReading> readings{read_log(table, "g.csv")};
  const GemmPeaks peaks{.tflops = 100, .gb_per_s = 1000};
  Problems problems;
  CHECK_FALSE(measured_gemms(readings, {}, peaks, problems));
  CHECK(all_of(problems) == "GEMMs of several devices: a, b; choose one with --device\n");
  Problems none;
  const auto gemms = measured_gemms(readings, {.device = "a"}, peaks, none);
  REQUIRE(gemms);
  CHECK(gemms->table.size() == 16);
  Problems fp8;
  CHECK_FALSE(measured_gemms(readings, {.device = "a", .dtype = "fp8"}, peaks, fp8));
  CHECK(all_of(fp8).find("0 GEMMs of device a of type fp8") == 0);
}

TEST_CASE("a profile that is written reads back, and keeps what it does not know",
          "[hwmodels][calibrate]") {
  for (const ProfileLine& line : list_profiles()) {
    if (line.kind != "gpu") continue;
    GpuProfile gpu = gpu_profile(line.name);
    CHECK(profile_json(parse_gpu_profile(profile_json(gpu), "x")) == profile_json(gpu));
    gpu.matmul_us = {.value = 5.5, .from = Provenance::kMeasured, .source = "own", .error = 0.05};
    gpu.measured_matmuls.push_back({.dtype = "bf16",
                                    .m_n_k_us = {{4096, 4096, 4096, 210.5}},
                                    .from = Provenance::kLog,
                                    .source = "table \"quoted\""});
    if (gpu.links.empty())
      gpu.links.push_back({.name = "wire", .curve = {{8, 4}, {16, 5}}, .source = "s"});
    LinkProfile& link = gpu.links[0];
    link.exchange = {{8, 4}, {1 << 20, 60}};
    link.collectives.push_back({.kind = CollectiveKind::kAllToAll,
                                .participants = 8,
                                .curve = {{8, 30}, {8589934592, 33508}},
                                .from = Provenance::kLog,
                                .source = "log",
                                .error = 0.021});
    const GpuProfile back = parse_gpu_profile(profile_json(gpu), "x.json");
    CHECK(back.name == gpu.name);
    CHECK(back.peak_tflops.value == gpu.peak_tflops.value);
    CHECK(back.peak_tflops.source == gpu.peak_tflops.source);
    REQUIRE(back.matmul_us);
    CHECK(back.matmul_us->value == 5.5);
    CHECK(back.measured_matmuls.at(0).source == "table \"quoted\"");
    CHECK(back.measured_matmuls.at(0).m_n_k_us == gpu.measured_matmuls[0].m_n_k_us);
    CHECK(back.links.at(0).curve == link.curve);
    CHECK(back.links.at(0).exchange == link.exchange);
    CHECK(back.links.at(0).error == link.error);
    const CollectiveProfile& collective = back.links.at(0).collectives.back();
    CHECK(collective.kind == CollectiveKind::kAllToAll);
    CHECK(collective.curve == link.collectives.back().curve);
    CHECK(collective.error == 0.021);
  }
  const std::string base = R"({"name": "g", "later": 1, "gpu": {"new": {"value": 3},
    "peak_tflops": {"value": 9, "from": "spec", "source": "s", "error": 0.5432}}})";
  GpuProfile gpu = gpu_profile("a100-sxm-80gb");
  const std::string merged = profile_json(gpu, base);
  CHECK(merged.find("\"later\": 1") != std::string::npos);
  CHECK(merged.find("\"new\": {\"value\": 3}") != std::string::npos);
  CHECK(merged.find("0.5432") == std::string::npos);  // the error of a value that was replaced
}

TEST_CASE("text that is not UTF-8 does not keep a profile from being written",
          "[hwmodels][calibrate]") {
  LinkProfile link{.name = "caf\xe9", .curve = {{1, 1}, {2, 2}}, .source = "log \xc0\xaf"};
  CHECK(parse_link_profile(profile_json(link), "l.json").source == "log \xef\xbf\xbd\xef\xbf\xbd");
  CHECK(read_log("nvbandwidth Version: v\xff\n", "n").version == "v?");
}

TEST_CASE("a profile file can stand where a name does", "[hwmodels][calibrate][errors]") {
  CHECK_THROWS_WITH(gpu_profile("no-such.json"), "'no-such.json': cannot open the profile");
  CHECK_THROWS_AS(link_profile(GpuProfile{}, "no-such.json"), InputError);
  CHECK(profile_text("a100-sxm-80gb").find("\"a100-sxm-80gb\"") != std::string::npos);
}

TEST_CASE("wrong curves of collectives and GEMM tables are named", "[hwmodels][profile][errors]") {
  const std::string text = R"({"name": "l", "link": {"curve_bytes_us": [[1, 1], [2, 2]],
    "exchange_bytes_us": [[1, 1]], "from": "log", "source": "s",
    "collectives": [{"kind": "allreduce", "participants": 1, "curve_bytes_us": [[1, 2], [2, 1]],
                     "from": "log", "source": "s", "extra": 1}, 7]}})";
  std::string message;
  try {
    parse_link_profile(text, "l.json");
  } catch (const InputError& error) {
    message = error.what();
  }
  for (const char* part :
       {"link.exchange_bytes_us", "link.collectives[0].kind", "link.collectives[0].participants",
        "times must not fall", "extra", "entry 1: expected an object"}) {
    INFO(message);
    CHECK(message.find(part) != std::string::npos);
  }
}

}  // namespace
}  // namespace stagesim
