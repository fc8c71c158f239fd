#pragma once

#include <optional>
#include <string>
#include <vector>

#include "hwmodels/fit/curve.hpp"
#include "hwmodels/fit/gemm.hpp"
#include "hwmodels/fit/segments.hpp"
#include "hwmodels/logs/reading.hpp"
#include "hwmodels/profile.hpp"

// From readings of logs to a profile. What the logs do not say themselves comes from the user.
namespace stagesim {

struct CalibrationOptions {
  std::optional<Timed> collective{};  // of runs that do not name theirs
  int participants = 0;               // of runs that do not list their ranks
  bool edited = false;                // take logs whose rows do not add up
  bool exchange_as_send = false;      // without one-way times, those of an exchange stand in
  std::string link{};                 // the link the message times belong to
  std::string machine{};              // for the source text, where logs do not name it
  std::string device{}, dtype{};      // which GEMMs of a table with several
};

// One operation with one number of participants, from all files together.
struct MeasuredCurve {
  Timed what = Timed::kUnknown;
  int participants = 0;
  CleanCurve clean{};
  std::optional<CurveError> held_out{};
  SegmentFit compact{};
  std::string source{};  // files, tools, versions and machines
  std::vector<std::string> notes{};
  Provenance from = Provenance::kLog;
  bool from_rates = false;   // a latency and a rate, not a sweep
  double halves = 0;         // median difference of in-place and out-of-place times: the noise
  std::string name() const;  // "all_reduce, 8 GPUs"
};

// The collective and the ranks that the user gave, where a log has none; what makes a log unusable,
// and what does not fit to what the user said, goes into problems.
void settle(std::vector<LogReading>& readings, const CalibrationOptions& options,
            Problems& problems);

// Sends, exchanges and collectives of settled readings. Curves without a bandwidth, and rates
// without a latency, are problems.
std::vector<MeasuredCurve> measured_curves(const std::vector<LogReading>& readings,
                                           Problems& problems);

// Puts curves into the link. Refuses a link without one-way times: an exchange or a collective does
// not tell how long one message takes (NVIDIA/nccl-tests#159). With exchange_as_send an exchange
// may stand in, marked assumed: a message alone takes no longer.
void update_link(LinkProfile& link, const std::vector<MeasuredCurve>& curves,
                 const CalibrationOptions& options, Problems& problems);

struct MeasuredGemms {
  std::string dtype{}, source{};
  Provenance from = Provenance::kLog;
  GemmFit fit{};
  std::vector<GemmPoint> table{};
};

// GEMMs of one device and one 16-bit type; nothing (and a problem) when the logs hold several and
// the options do not choose, or too few shapes for a fit.
std::optional<MeasuredGemms> measured_gemms(const std::vector<LogReading>& readings,
                                            const CalibrationOptions& options,
                                            const GemmPeaks& peaks, Problems& problems);
void update_gpu(GpuProfile& gpu, const MeasuredGemms& gemms);

// The host's share of a launch, where stagesim-probe measured it.
void update_launch(GpuProfile& gpu, const std::vector<LogReading>& readings);

// The bandwidth that memory-bound kernels of stagesim-probe reached on their largest size, over the
// peak: "add" for kernels in general, "adam" for the optimizer, both products of attention without
// a fused kernel. Whether there were any.
bool update_memory(GpuProfile& gpu, const std::vector<LogReading>& readings);

// "allreduce.txt (nccl-tests 2.17.4, A100-SXM4-40GB)"
std::string source_of(const LogReading& reading);
// kMeasured when all of them come from our own probe.
Provenance provenance_of(const std::vector<LogReading>& readings);

}  // namespace stagesim
