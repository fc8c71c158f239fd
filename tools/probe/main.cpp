#include <fmt/format.h>

#include <algorithm>
#include <boost/program_options.hpp>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "tools/probe/run_probe.hpp"

namespace po = boost::program_options;

namespace {

using namespace stagesim;

constexpr int kUserError = 2, kOurBug = 3, kInterrupted = 130;

std::atomic<bool> interrupted = false;
void interrupt(int) { interrupted = true; }

po::options_description probe_options() {
  po::options_description options("Options");
  options.add_options()("out", po::value<std::string>(),
                        "file for the result; standard output when left out")(
      "budget", po::value<double>()->default_value(120),
      "seconds after which nothing new is begun")(
      "only", po::value<std::string>(),
      "a list of launch, memory, gemm, attention, collectives, copies, overlap, allocator; all "
      "when left out")("model", po::value<std::string>(),
                       "a preset of 'stagesim list models': its matrix products too")(
      "micro", po::value<int>()->default_value(1), "sequences per micro-batch of --model")(
      "help", "this text")("version", "the release");
  return options;
}

void print_help() {
  std::cout
      << "usage: stagesim-probe [options]\n\n"
         "Measures the first GPU of this machine: matrix products, memory-bound kernels, "
         "attention, copies, launches, memory\ntaken and given back; with several GPUs messages "
         "and collectives of NCCL; and work beside them. 'stagesim\ncalibrate' reads the result. "
         "Clock and power settings stay as they are.\n\n"
      << probe_options()
      << "\nexamples\n"
         "  stagesim-probe --out probe.json\n"
         "  stagesim-probe --model llama-3-8b --budget 60 --out probe.json\n"
         "  stagesim calibrate probe.json --profile h100-sxm-80gb --name ours --out ours.json\n"
         "\nexit codes: 0 good, 2 your input or no GPU, 3 our bug, 130 interrupted (what was "
         "measured is written)\n";
}

std::vector<std::string> parts_from(const po::variables_map& vm) {
  if (!vm.count("only")) return probe_parts();
  std::vector<std::string> parts;
  const std::string list = vm["only"].as<std::string>() + ",";
  for (std::size_t at = 0; at < list.size();) {
    const std::size_t comma = list.find(',', at);
    parts.push_back(list.substr(at, comma - at));
    at = comma + 1;
    const auto& known = probe_parts();
    if (std::find(known.begin(), known.end(), parts.back()) == known.end())
      throw InputError(fmt::format("--only: expected a list of {}, got '{}'",
                                   fmt::join(known, ", "), parts.back()));
  }
  return parts;
}

std::optional<Model> model_from(const po::variables_map& vm) {
  if (!vm.count("model")) return {};
  return preset_model(vm["model"].as<std::string>());
}

// The whole file or none of it.
void write_result(const std::string& path, const std::string& text) {
  const std::string unfinished = path + ".part";
  std::ofstream file(unfinished, std::ios::binary);
  file << text;
  file.close();
  if (!file || std::rename(unfinished.c_str(), path.c_str()) != 0)
    throw InputError(fmt::format("'{}': cannot write", path));
}

int run(int argc, char** argv) {
  po::variables_map vm;
  try {
    po::store(
        po::command_line_parser(argc, argv)
            .options(probe_options())
            .style(po::command_line_style::unix_style & ~po::command_line_style::allow_guessing)
            .run(),
        vm);
  } catch (const po::error& error) {
    throw InputError(error.what());
  }
  if (vm.count("help")) return print_help(), 0;
  if (vm.count("version")) return std::cout << "stagesim-probe " STAGESIM_VERSION "\n", 0;
  const double budget = vm["budget"].as<double>();
  if (!(budget > 0 && budget <= 86400))
    throw InputError(fmt::format("--budget: expected seconds up to 86400, got {:g}", budget));
  const int micro = vm["micro"].as<int>();
  if (micro < 1 || micro > 4096)
    throw InputError(fmt::format("--micro: expected a whole number from 1 to 4096, got {}", micro));
  const std::vector<std::string> parts = parts_from(vm);
  const std::optional<Model> model = model_from(vm);
  const std::unique_ptr<Device> device = cuda_device();
  std::unique_ptr<DeviceGroup> group;
  std::string alone;  // why
  try {
    group = device_group();
  } catch (const InputError& error) {
    alone = error.what();
  }
  std::signal(SIGINT, interrupt);
  std::signal(SIGTERM, interrupt);
  ProbePlan plan = probe_plan(parts, model, micro, device->info(), group ? group->size() : 0);
  if (!group) plan.left_out.push_back("messages and collectives between GPUs: " + alone);
  const nlohmann::ordered_json result = run_probe(*device, plan,
                                                  {.group = group.get(),
                                                   .budget_s = budget,
                                                   .interrupted = &interrupted,
                                                   .release = STAGESIM_VERSION});
  const std::string text = result.dump(1) + "\n";
  if (vm.count("out"))
    write_result(vm["out"].as<std::string>(), text);
  else
    std::cout << text;
  for (const auto& line : result["left_out"])
    std::cerr << "left out: " << line.get<std::string>() << '\n';
  return interrupted ? kInterrupted : 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const InputError& error) {
    std::cerr << "error: " << error.what() << '\n';
    return kUserError;
  } catch (const std::exception& error) {
    std::cerr << "internal error, please report: " << error.what() << '\n';
    return kOurBug;
  }
}
