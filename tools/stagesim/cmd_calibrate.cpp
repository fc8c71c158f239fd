#include <fmt/format.h>
#include <fmt/ostream.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>

#include "hwmodels/fit/calibration.hpp"
#include "hwmodels/profile_writer.hpp"
#include "tools/stagesim/calibrate_report.hpp"
#include "tools/stagesim/command.hpp"
#include "tools/stagesim/input.hpp"

namespace po = boost::program_options;

namespace stagesim {
namespace {

constexpr std::size_t kLargestFile = 512u << 20;

constexpr const char* kHelp =
    "usage: stagesim calibrate FILE... --out PROFILE.json [options]\n\n"
    "Reads measurement logs, says what it read, how well a curve through half of the sizes "
    "predicts "
    "the other half,\nand writes a hardware profile. Scenarios then name that file: \"gpu\": "
    "\"PROFILE.json\".\n\n"
    "what to run on the cluster, and what each file gives\n"
    "  osu_latency -d cuda D D > send.txt             one-way time of a message: the link\n"
    "  p2pBandwidthLatencyTest > p2p.txt              the same within a node, as latency and rate\n"
    "  sendrecv_perf -b 8 -e 1G -f 2 > exchange.txt   both ways at once, beside the one-way times\n"
    "  all_reduce_perf -b 8 -e 1G -f 2 > ar.txt       one collective with this many GPUs\n"
    "  GEMM table (CSV: dtype,m,n,k,time_us)          matrix products of the GPU\n"
    "  your own times (CSV: kind,participants,bytes,time_us)\n"
    "Also read: nccl-tests -J, nvbandwidth (text, -j), osu_bw, osu_mbw_mr, perftest, NCCL "
    "Inspector, stagesim-probe.\nUnpack .gz files first (gunzip -k).\n\n";

po::options_description calibrate_options() {
  po::options_description options("Options");
  const auto text = [] { return po::value<std::string>(); };
  options.add_options()("file", po::value<std::vector<std::string>>(),
                        "logs; --file may be left out")("out", text(), "the profile to write")(
      "profile", text(),
      "profile to start from: a name of 'stagesim list profiles' or a .json file")(
      "name", text(), "name of the new profile (default: that of --profile, or of --link)")(
      "link", text(), "which link the message times belong to, as in nvlink3 or hdr200x8")(
      "collective", text(),
      "what was timed, of logs that do not say: send, sendrecv, all_reduce, reduce, broadcast, "
      "all_gather, reduce_scatter, all_to_all")("participants", text(),
                                                "GPUs, of logs that do not list them")(
      "device", text(), "which GEMMs, of a table with several devices")(
      "dtype", text(), "which GEMMs, of a table with several types (default: the 16-bit one)")(
      "gpu-peak-tflops", text(), "dense peak of the GPU, instead of the base profile's")(
      "memory-gb-per-s", text(), "peak memory bandwidth, instead of the base profile's")(
      "machine", text(), "the machine, for the source text of the profile")(
      "exchange-as-send", "without one-way times, let those of an exchange stand in (assumed)")(
      "edited", "take logs whose rows do not add up to their own totals")("help", "this text");
  return options;
}

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw InputError(fmt::format("'{}': cannot open: {}", path, std::strerror(errno)));
  std::string text(std::istreambuf_iterator<char>(file), {});
  if (file.bad()) throw InputError(fmt::format("'{}': cannot read it (a folder?)", path));
  if (text.size() > kLargestFile)
    throw InputError(
        fmt::format("'{}': {} bytes; logs have at most {}", path, text.size(), kLargestFile));
  return text;
}

double number_option(const po::variables_map& vm, const char* name, double low, double high) {
  const std::string& text = vm[name].as<std::string>();
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !(value >= low && value <= high))
    throw InputError(
        fmt::format("--{}: expected a number from {:g} to {:g}, got '{}'", name, low, high, text));
  return value;
}

CalibrationOptions options_from(const po::variables_map& vm) {
  const auto text_of = [&](const char* name) {
    return vm.count(name) ? vm[name].as<std::string>() : std::string();
  };
  CalibrationOptions options;
  options.link = text_of("link");
  options.device = text_of("device");
  options.dtype = text_of("dtype");
  options.machine = text_of("machine");
  options.exchange_as_send = vm.count("exchange-as-send") > 0;
  options.edited = vm.count("edited") > 0;
  if (vm.count("collective")) {
    options.collective = timed_from(text_of("collective"));
    if (!options.collective)
      throw InputError(fmt::format(
          "--collective: expected send, sendrecv, all_reduce, reduce, broadcast, all_gather, "
          "reduce_scatter or all_to_all, got '{}'",
          text_of("collective")));
  }
  if (vm.count("participants")) {
    const double n = number_option(vm, "participants", 2, 1e6);
    if (n != std::floor(n))
      throw InputError(fmt::format("--participants: expected a whole number, got {}", n));
    options.participants = static_cast<int>(n);
  }
  return options;
}

std::vector<LogReading> read_logs(const std::vector<std::string>& files, Problems& problems) {
  std::vector<LogReading> readings;
  for (const std::string& file : files) {
    try {
      readings.push_back(read_log(read_file(file), file));
    } catch (const InputError& error) {
      problems.add_text(error.what());
    }
  }
  return readings;
}

// The profile that is written: a GPU's, or a link of its own.
struct Target {
  std::optional<GpuProfile> gpu;
  std::optional<LinkProfile> link;  // without a GPU profile
  std::string base;                 // text of the profile it starts from
};

bool is_gpu_profile(const std::string& name) {
  if (name.ends_with(".json")) return read_file(name).find("\"gpu\"") != std::string::npos;
  for (const ProfileLine& line : list_profiles()) {
    if (line.name == name) return line.kind == "gpu";
  }
  return true;  // gpu_profile() then names the nearest
}

Target target_from(const po::variables_map& vm) {
  Target target;
  const std::string base = vm.count("profile") ? vm["profile"].as<std::string>() : "";
  if (!base.empty() && is_gpu_profile(base)) {
    target.gpu = gpu_profile(base);
  } else if (!base.empty()) {
    target.link = link_profile(GpuProfile{}, base);
  }
  if (!base.empty()) target.base = profile_text(base);
  const auto replace = [&](const char* option, Quantity GpuProfile::*field) {
    if (!vm.count(option)) return;
    if (!target.gpu)
      throw InputError(fmt::format("--{} belongs to a GPU; start from one with --profile", option));
    (*target.gpu).*field = {.value = number_option(vm, option, 0.001, 1e6),
                            .from = Provenance::kSpec,
                            .source = fmt::format("--{} on the command line", option),
                            .error = {}};
  };
  replace("gpu-peak-tflops", &GpuProfile::peak_tflops);
  replace("memory-gb-per-s", &GpuProfile::memory_gb_per_s);
  return target;
}

LinkProfile& link_of(Target& target, const std::string& name) {
  if (!target.gpu) {
    if (!target.link) target.link = LinkProfile{};
    if (target.link->name.empty()) target.link->name = name;
    return *target.link;
  }
  for (LinkProfile& link : target.gpu->links) {
    if (link.name == name) return link;
  }
  return target.gpu->links.emplace_back(LinkProfile{.name = name});
}

void calibrate_link(Target& target, const std::vector<MeasuredCurve>& curves,
                    const CalibrationOptions& options, Problems& problems) {
  std::string name = options.link;
  if (name.empty() && target.link) name = target.link->name;
  if (name.empty()) {
    problems.add("the logs time messages; --link NAME says which link of the profile they are of");
    return;
  }
  LinkProfile& link = link_of(target, name);
  update_link(link, curves, options, problems);
  if (link.summary.empty()) link.summary = "calibrated from logs";
}

void write_profile(const std::string& path, Target& target, const std::string& name) {
  std::string text;
  if (target.gpu) {
    if (!name.empty()) target.gpu->name = name;
    text = profile_json(*target.gpu, target.base);
    parse_gpu_profile(text, path);  // what is written can be read
  } else {
    if (!name.empty()) target.link->name = name;
    text = profile_json(*target.link, target.base);
    parse_link_profile(text, path);
  }
  std::ofstream file(path, std::ios::binary);
  file << text;
  file.close();
  if (!file) throw InputError(fmt::format("'{}': cannot write: {}", path, std::strerror(errno)));
}

Answer calibrate(const std::vector<std::string>& args, std::ostream& out, std::ostream&) {
  const po::variables_map vm = parse_args("calibrate", args, calibrate_options(), "file", -1);
  if (vm.count("help")) {
    out << kHelp << calibrate_options()
        << "\nexamples\n"
           "  stagesim calibrate send.txt ar.txt --profile a100-sxm-80gb --link nvlink3 --name "
           "ours --out ours.json\n"
           "  stagesim calibrate osu.txt --link our-network --out our-network.json\n"
           "  stagesim calibrate gemm.csv --profile ours.json --out ours.json\n";
    return Answer::kYes;
  }
  if (!vm.count("file"))
    throw InputError("no logs: name the files; 'stagesim calibrate --help' says which to measure");
  const CalibrationOptions options = options_from(vm);
  Target target = target_from(vm);
  Problems problems;
  std::vector<LogReading> readings = read_logs(vm["file"].as<std::vector<std::string>>(), problems);
  settle(readings, options, problems);
  if (!readings.empty()) print_readings(out, readings);
  problems.throw_if_any();

  const std::vector<MeasuredCurve> curves = measured_curves(readings, problems);
  problems.throw_if_any();
  print_curves(out, curves);
  if (!curves.empty()) {
    calibrate_link(target, curves, options, problems);
  } else if (!options.link.empty()) {
    problems.add("--link {}: has no effect, no log times messages", options.link);
  }

  const bool has_gemms = std::any_of(readings.begin(), readings.end(),
                                     [](const LogReading& r) { return !r.gemms.empty(); });
  if (target.gpu) update_launch(*target.gpu, readings);
  if (has_gemms && !target.gpu) {
    problems.add("the logs time GEMMs; --profile says which GPU profile they go into");
  } else if (has_gemms) {
    const GemmPeaks peaks{.tflops = target.gpu->peak_tflops.value,
                          .gb_per_s = target.gpu->memory_gb_per_s.value};
    if (const auto gemms = measured_gemms(readings, options, peaks, problems)) {
      print_gemms(out, *gemms);
      update_gpu(*target.gpu, *gemms);
    }
  }
  if (target.gpu && update_memory(*target.gpu, readings)) print_memory(out, *target.gpu);
  problems.throw_if_any();
  if (!vm.count("out")) {
    fmt::print(out, "\nnothing written: --out PROFILE.json writes the profile\n");
    return Answer::kYes;
  }
  const auto path = vm["out"].as<std::string>();
  write_profile(path, target, vm.count("name") ? vm["name"].as<std::string>() : "");
  fmt::print(out, "\nwrote {}\n", path);
  return Answer::kYes;
}

}  // namespace

const Command kCalibrateCommand{"calibrate", "make a hardware profile from measurement logs",
                                calibrate};

}  // namespace stagesim
