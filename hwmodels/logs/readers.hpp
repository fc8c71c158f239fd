#pragma once

#include <string>
#include <string_view>

#include "hwmodels/logs/reading.hpp"

// One reader per grammar, each in the file of its name. A reader reports what is wrong in
// LogReading::problems and never throws for it, so that the problems of several files come
// together; text that is not JSON where JSON is due is such a problem too.
namespace stagesim {

// NVIDIA/nccl-tests v1.0.0 to v2.19.6, with launcher prefixes and library chatter between.
LogReading read_nccl_tests_text(std::string_view text, const std::string& file);
// nccl-tests -J FILE, from v2.17.3 on. Never looks at "env", which holds the user's environment.
LogReading read_nccl_tests_json(std::string_view text, const std::string& file);
// NVIDIA/nvbandwidth, text and -j.
LogReading read_nvbandwidth_text(std::string_view text, const std::string& file);
LogReading read_nvbandwidth_json(std::string_view text, const std::string& file);
// p2pBandwidthLatencyTest of NVIDIA/cuda-samples.
LogReading read_p2p_bandwidth(std::string_view text, const std::string& file);
// OSU micro-benchmarks: osu_latency, osu_multi_lat, osu_bw, osu_bibw, osu_mbw_mr.
LogReading read_osu(std::string_view text, const std::string& file);
// linux-rdma/perftest: ib_{write,read,send}_{bw,lat}.
LogReading read_perftest(std::string_view text, const std::string& file);
// CSV with columns m, n, k and a time or a rate; the header names them with their unit.
LogReading read_gemm_table(std::string_view text, const std::string& file);
// CSV with columns bytes and a time with its unit; kind and participants where they are known.
LogReading read_message_table(std::string_view text, const std::string& file);
// NVIDIA/nccl ext-profiler/inspector: JSON objects one after another.
LogReading read_nccl_inspector(std::string_view text, const std::string& file);
// stagesim-probe's own JSON.
LogReading read_probe(std::string_view text, const std::string& file);

}  // namespace stagesim
