#include "hwmodels/logs/readers.hpp"
#include "sim/base/error.hpp"
#include "tests/support/catch.hpp"

namespace stagesim {
namespace {

TEST_CASE("GEMM tables give microseconds from any column with a unit", "[hwmodels][logs]") {
  // The first row of baidu-research/DeepBench's V100 table, and the same in other columns.
  for (const char* table :
       {"m,n,k,transA,transB,time_us,tflops\n1760,7000,1760,N,N,485.0,89.415\n",
        "M,N,K,time_ms\n1760,7000,1760,0.485\n", "m,n,k,us\r\n1760,7000,1760,485\r\n",
        "device,m_tokens,n,k,median_time_s,tflops\nv100,1760,7000,1760,4.85e-04,89.4\n",
        "b,m,n,k,dtype,flops_per_s\n1,1760,7000,1760,fp16,89415257731958\n"}) {
    INFO(table);
    const LogReading reading = read_gemm_table(table, "gemm.csv");
    for (const std::string& line : reading.problems.lines()) FAIL_CHECK(line);
    REQUIRE(reading.gemms.size() == 1);
    CHECK(reading.gemms[0].m == 1760);
    CHECK(reading.gemms[0].n == 7000);
    CHECK(reading.gemms[0].microseconds == Approx(485).epsilon(1e-6));
  }
}

TEST_CASE("GEMM headers are read strictly and all bad rows are named", "[hwmodels][logs][errors]") {
  const auto problems = [](const char* text) {
    return read_gemm_table(text, "g.csv").problems.lines();
  };
  CHECK(problems("m,n,k,time\n1,2,3,4\n").size() == 2);
  CHECK(problems("m,n,k,time_us,colour\n1,2,3,4,5\n")[0].find("unknown column 'colour'") !=
        std::string::npos);
  CHECK(problems("m,n,k\n1,2,3\n") ==
        std::vector<std::string>{"g.csv:1: no time and no rate; a column named time_us, time_ms, "
                                 "time_s or tflops gives it with its unit"});
  CHECK(problems("dtype,us\nbf16,4\n") == std::vector<std::string>{"g.csv:1: no column named m",
                                                                   "g.csv:1: no column named n",
                                                                   "g.csv:1: no column named k"});
  CHECK(problems("m,n,k,time_us,us\n1,2,3,4,4\n").size() == 1);
  CHECK(problems("m,n,k,us\n1,2,3,4\n1,2,3\n1,-2,3,4\n") ==
        std::vector<std::string>{"g.csv:3: expected 4 cells as in the header, got 3",
                                 "g.csv:4: n: expected a number above 0"});
  CHECK(problems("m,n,k,us\n") == std::vector<std::string>{"g.csv: a header and no rows"});
  const auto wrong = problems("m,n,k,us,tflops\n1000,1000,1000,20,90\n");
  REQUIRE(wrong.size() == 1);
  CHECK(wrong[0] ==
        "g.csv:2: 2mnk = 2e+09 flop in 20 us are 100 TFLOP/s, but the rate column says 90");
}

TEST_CASE("NCCL Inspector: sizes as nccl-tests counts them, the fastest rank of a call",
          "[hwmodels][logs]") {
  // The two objects of NVIDIA/nccl ext-profiler/inspector/README.md, and a slower rank of the
  // first.
  const std::string all_reduce =
      R"({"header": {"id": "0x7f8c496ae9f661", "rank": 2, "n_ranks": 8, "nnodes": 1},
      "metadata": {"inspector_output_format_version": "v4.0", "hostname": "example-hostname"},
      "coll_perf": {"coll": "AllReduce", "coll_sn": 1407, "coll_msg_size_bytes": 17179869184,
        "coll_exec_time_us": 61974, "coll_algobw_gbs": 277.210914, "coll_busbw_gbs": 485.119099}})";
  const std::string slower =
      R"({"header": {"id": "0x7f8c496ae9f661", "rank": 3, "n_ranks": 8, "nnodes": 1},
      "coll_perf": {"coll": "AllReduce", "coll_sn": 1407, "coll_msg_size_bytes": 17179869184,
        "coll_exec_time_us": 123948, "coll_algobw_gbs": 138.605457, "coll_busbw_gbs": 242.6}})";
  const std::string scatter =
      R"({"header": {"id": "0xe62dedaa97644a", "rank": 4, "n_ranks": 8, "nnodes": 1},
      "coll_perf": {"coll": "ReduceScatter", "coll_sn": 1231, "coll_msg_size_bytes": 2147483648,
        "coll_exec_time_us": 41057, "coll_timing_source": "kernel_gpu",
        "coll_algobw_gbs": 418.439467, "coll_busbw_gbs": 366.134533}})";
  const LogReading reading = read_nccl_inspector(
      all_reduce + "\n" + slower + scatter + "{\"header\": {\"id\": \"0x1", "inspector.log");
  CHECK(reading.problems.empty());
  CHECK(reading.rows == 3);
  CHECK(reading.skipped == 1);  // the job ended while the last object was written
  CHECK(reading.version == "v4.0");
  REQUIRE(reading.points.size() == 2);
  CHECK(reading.points[0].what == Timed::kAllReduce);
  CHECK(reading.points[0].microseconds == 61974);
  CHECK(reading.points[0].participants == 8);
  CHECK(reading.points[1].what == Timed::kReduceScatter);
  CHECK(reading.points[1].bytes == 8 * 2147483648.0);
}

TEST_CASE("the probe's report is read for what it measured", "[hwmodels][logs]") {
  const LogReading reading = read_probe(R"({"schema_version": 1, "tool": "stagesim-probe",
    "device": {"name": "NVIDIA H100 80GB HBM3", "gpus": 2, "nccl": "2.28.7"}, "later": {},
    "launch": {"kernel_issue": {"us": 2.1}},
    "gemm": [{"dtype": "bf16", "m": 4096, "n": 4096, "k": 4096, "batch": 1, "us": 210.5, "p10_us": 210},
             {"dtype": "bf16", "m": 0, "n": 1, "k": 1, "us": 1}],
    "memory": [{"kernel": "add", "bytes": 4096, "us": 2, "spread": 0.01}, {"kernel": "adam", "bytes": 0, "us": 1}],
    "copies": [{"kind": "peer", "bytes": 1024, "us": 5}, {"kind": "peer_exchange", "bytes": 1024, "us": 6},
               {"kind": "within_device", "bytes": 1024, "us": 2}],
    "collectives": [{"op": "all_reduce", "gpus": 2, "bytes": 4096, "us": 20},
                    {"op": "send", "gpus": 2, "bytes": 4096, "us": 9}]})",
                                        "probe.json");
  CHECK(reading.problems.empty());
  CHECK(reading.own_probe);
  CHECK(reading.devices == std::vector<std::string>{"NVIDIA H100 80GB HBM3"});
  CHECK(reading.launch_us == 2.1);
  REQUIRE(reading.gemms.size() == 1);
  CHECK(reading.gemms[0].microseconds == 210.5);
  CHECK(reading.skipped == 2);
  REQUIRE(reading.kernels.size() == 1);
  CHECK(reading.kernels[0].kernel == "add");
  CHECK(reading.kernels[0].spread == 0.01);
  REQUIRE(reading.points.size() == 4);
  CHECK(reading.points[0].what == Timed::kSend);
  CHECK(reading.points[1].what == Timed::kExchange);
  CHECK(reading.points[2].what == Timed::kAllReduce);
  CHECK_FALSE(
      read_probe(R"({"tool": "stagesim-probe", "schema_version": 2})", "p").problems.empty());
}

TEST_CASE("each grammar is known by what it holds", "[hwmodels][logs]") {
  CHECK(detect("# size algbw busbw\n") == LogGrammar::kNcclTestsText);
  CHECK(detect("[1,0]<stdout>:# size algbw busbw\n") == LogGrammar::kNcclTestsText);
  CHECK(detect(" {\"nccl_version\": 22807}") == LogGrammar::kNcclTestsJson);
  CHECK(detect("{\"nvbandwidth\": {}}") == LogGrammar::kNvbandwidthJson);
  CHECK(detect("{\"coll_perf\": {}}") == LogGrammar::kNcclInspector);
  CHECK(detect("{\"tool\": \"stagesim-probe\"}") == LogGrammar::kProbe);
  CHECK(detect("nvbandwidth Version: v0.8\n") == LogGrammar::kNvbandwidthText);
  CHECK(detect("m,n,k,time_us\n") == LogGrammar::kGemmTable);
  CHECK(detect("bytes,time_us\n") == LogGrammar::kMessageTable);
  CHECK(detect("# OSU MPI-CUDA Latency Test v7.3\n") == LogGrammar::kOsu);
  CHECK(detect(" #bytes #iterations t_min[usec]\n") == LogGrammar::kPerftest);
  CHECK_FALSE(detect("hello"));
  CHECK_FALSE(detect(""));
  CHECK_THROWS_WITH(read_log("\x1f\x8b..", "a.gz"),
                    "a.gz: compressed with gzip; unpack it first: gunzip -k a.gz");
  CHECK_THROWS_AS(read_log("hello", "a.txt"), InputError);
  for (int i = 0; i < static_cast<int>(Timed::kUnknown); ++i)
    CHECK(timed_from(text(static_cast<Timed>(i))) == static_cast<Timed>(i));
  CHECK(timed_from("AllReduce") == Timed::kAllReduce);
  CHECK(timed_from("sendrecv_perf") == Timed::kExchange);
  CHECK_FALSE(timed_from("hypercube"));
}

}  // namespace
}  // namespace stagesim
