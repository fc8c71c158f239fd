#include "tools/stagesim/input.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <thread>

#include "sim/base/names.hpp"

namespace po = boost::program_options;

namespace stagesim {
namespace {

struct InlineOption {
  const char* name;
  const char* path;  // where its value goes in the scenario
  const char* help;
};

constexpr InlineOption kInline[] = {
    {"ranks", "parallel.pipeline", "pipeline ranks"},
    {"microbatches", "batch.microbatches", "micro-batches per step"},
    {"F", "model.stage_times.F", "forward time of a stage, one number or a list a,b,c"},
    {"B", "model.stage_times.B", "backward time"},
    {"I", "model.stage_times.I", "input-gradient time, for schedules that split the backward"},
    {"W", "model.stage_times.W", "weight-gradient time"},
    {"unit", "model.stage_times.unit", "unit of these times: s, ms (default), us, ns"},
    {"update-time", "model.update_time", "time of the optimizer step"},
    {"latency-us", "cluster.p2p.latency_us", "latency of a message between ranks"},
    {"steps", "run.steps",
     "steps to run (default: 1 of a flush schedule, 4 of an asynchronous one)"},
    {"comm", "comm.mode", "overlapped (default) or blocking"},
};

}  // namespace

po::options_description scenario_options(bool positional) {
  po::options_description options(
      "Scenario (a file or a ready-made name, see 'stagesim list'; or inline)");
  options.add_options()("scenario", po::value<std::string>(),
                        positional ? "the scenario; --scenario may be left out" : "the scenario")(
      "set", po::value<std::vector<std::string>>()->composing(),
      "override any key, as in --set batch.micro=2; may be repeated");
  for (const InlineOption& option : kInline)
    options.add_options()(option.name, po::value<std::string>(), option.help);
  return options;
}

po::options_description output_options() {
  po::options_description options("Output");
  options.add_options()("json", "print the result as JSON instead of the table")(
      "require-fit", "exit 1 if a schedule does not fit the GPU's memory")("help",
                                                                           "show this text");
  return options;
}

po::variables_map parse_args(const std::string& command, const std::vector<std::string>& args,
                             const po::options_description& options, const char* positional_name,
                             int most) {
  po::positional_options_description positional;
  positional.add(positional_name, most);
  // No short options: "--F -1" then is a wrong value of --F, not an unknown option -1.
  const int style = po::command_line_style::allow_long |
                    po::command_line_style::long_allow_adjacent |
                    po::command_line_style::long_allow_next;
  std::vector<std::string> known;
  for (const auto& option : options.options()) known.push_back("--" + option->long_name());
  for (const std::string& arg : args) {
    if (arg.size() > 1 && arg[0] == '-' && std::isalpha(static_cast<unsigned char>(arg[1])) != 0) {
      throw InputError(fmt::format("stagesim {}: {}", command, unknown_name("option", arg, known)));
    }
  }
  po::variables_map vm;
  try {
    po::store(
        po::command_line_parser(args).options(options).positional(positional).style(style).run(),
        vm);
    po::notify(vm);
  } catch (const po::unknown_option& error) {
    throw InputError(fmt::format("stagesim {}: {}", command,
                                 unknown_name("option", error.get_option_name(), known)));
  } catch (const po::too_many_positional_options_error&) {
    throw InputError(
        fmt::format("stagesim {}: more than one scenario; options start with --", command));
  } catch (const po::error& error) {
    throw InputError(fmt::format("stagesim {}: {}", command, error.what()));
  }
  return vm;
}

ScenarioInput scenario_input(const std::string& command, const po::variables_map& vm) {
  ScenarioInput input{.file = "command line"};
  Json& json = input.json;
  if (vm.count("scenario")) {
    input.file = vm["scenario"].as<std::string>();
    json = parse_json(scenario_text(input.file), input.file);
    if (!json.is_object())
      throw InputError(
          fmt::format("{}: expected a JSON object, got {}", input.file, short_text(json)));
  } else {
    json["name"] = "inline";
    if (!vm.count("F") && !vm.count("set")) {
      throw InputError(
          fmt::format("no scenario: name a file or a ready-made one ('stagesim list'), or give "
                      "--ranks, --microbatches, --F and --B; "
                      "'stagesim {} --help' shows examples",
                      command));
    }
  }
  for (const InlineOption& option : kInline) {
    if (!vm.count(option.name)) continue;
    const std::string name = std::string("--") + option.name;
    input.set(option.path, vm[option.name].as<std::string>(), name, name);
  }
  if (vm.count("microbatches") && json["batch"].contains("global")) json["batch"].erase("global");
  if (vm.count("set")) {
    for (const std::string& assignment : vm["set"].as<std::vector<std::string>>()) {
      const std::size_t equals = assignment.find('=');
      const std::string typed = "--set " + assignment;
      if (equals == std::string::npos)
        throw InputError(fmt::format("{}: expected key.path=value", typed));
      const std::string path = assignment.substr(0, equals);
      input.set(path, assignment.substr(equals + 1), "--set " + path, typed);
    }
  }
  if (!vm.count("scenario")) {
    for (const InlineOption& option : kInline)
      input.options[option.path] = std::string("--") + option.name;
  }
  return input;
}

Scenario scenario_from(const std::string& command, const po::variables_map& vm) {
  return scenario_input(command, vm).read();
}

Scenario scenario_with_schedule(const std::string& command, const po::variables_map& vm) {
  Scenario scenario = scenario_from(command, vm);
  if (vm.count("schedule"))
    scenario.schedule = parse_schedule_spec(vm["schedule"].as<std::string>());
  if (scenario.schedule.name.empty()) {
    throw InputError(
        "no schedule: give --schedule NAME, or \"schedule\" in the scenario; 'stagesim list "
        "schedules' shows them");
  }
  return scenario;
}

double number_option(const po::variables_map& vm, const char* name, double low, double high) {
  const auto text = vm[name].as<std::string>();
  std::size_t used = 0;
  double value = 0;
  try {
    value = std::stod(text, &used);
  } catch (const std::exception&) {
    used = 0;
  }
  if (used != text.size() || text.empty() || !(value >= low && value <= high)) {
    throw InputError(
        fmt::format("--{}: expected a number from {:g} to {:g}, got '{}'", name, low, high, text));
  }
  return value;
}

int threads_option(const po::variables_map& vm) {
  constexpr int kMostThreads = 1024;
  const int wanted = static_cast<int>(number_option(vm, "threads", 0, kMostThreads));
  return wanted > 0 ? wanted : std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

}  // namespace stagesim
