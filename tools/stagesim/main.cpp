#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <iostream>
#include <string>
#include <vector>

#include "sim/base/error.hpp"
#include "sim/base/names.hpp"
#include "tools/stagesim/command.hpp"

namespace {

using namespace stagesim;

const Command* const kCommands[] = {
    &kRunCommand,  &kCompareCommand, &kSweepCommand,    &kPlanCommand,     &kCheckCommand,
    &kDiffCommand, &kExplainCommand, &kExecuteCommand,  &kValidateCommand, &kImportCommand,
    &kListCommand, &kShowCommand,    &kCalibrateCommand};

constexpr int kUserError = 2, kOurBug = 3;

void print_help(std::ostream& out) {
  out << "stagesim: replays pipeline-parallel training schedules and says what they cost\n\n"
         "usage: stagesim COMMAND [SCENARIO] [options]\n\n";
  for (const Command* command : kCommands)
    out << fmt::format("  {:<9} {}\n", command->name, command->summary);
  out << "\nexamples\n"
         "  stagesim compare gpt-1.5b-8xa800                      all schedules on the AMDP "
         "paper's GPT\n"
         "  stagesim run --schedule 1f1b --ranks 4 --microbatches 8 --F 1 --B 2 --grid\n"
         "  stagesim list                                         schedules, scenarios, profiles, "
         "nodes, models\n"
         "  stagesim show profile h100-sxm-80gb                   every number with its source\n\n"
         "exit codes: 0 good, 1 the answer is no, 2 your input, 3 our bug, 4 not comparable. "
         "'stagesim COMMAND "
         "--help' tells more.\n";
}

const Command& find_command(const std::string& name) {
  std::vector<std::string> known;
  for (const Command* command : kCommands) {
    if (command->name == name) return *command;
    known.emplace_back(command->name);
  }
  throw InputError(unknown_name("command", name, known));
}

// No "success" on output that went nowhere.
int finished(Answer answer) {
  std::cout.flush();
  if (!std::cout) throw InputError("cannot write to standard output: disk full or pipe closed");
  return static_cast<int>(answer);
}

int run(std::vector<std::string> args) {
  if (args.empty() || args[0] == "--help" || args[0] == "-h" || args[0] == "help") {
    print_help(args.empty() ? std::cerr : std::cout);
    if (args.empty()) return kUserError;
    return finished(Answer::kYes);
  }
  if (args[0] == "--version") {
    std::cout << "stagesim " STAGESIM_VERSION "\n";
    return finished(Answer::kYes);
  }
  const Command& command = find_command(args[0]);
  args.erase(args.begin());
  std::replace(args.begin(), args.end(), std::string("-h"), std::string("--help"));
  return finished(command.run(args, std::cout, std::cerr));
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(std::vector<std::string>(argv + 1, argv + argc));
  } catch (const InputError& error) {
    std::cerr << "error: " << error.what() << '\n';
    return kUserError;
  } catch (const std::bad_alloc&) {
    std::cerr << "error: out of memory; use fewer ranks, micro-batches or steps\n";
    return kUserError;
  } catch (const std::exception& error) {
    std::cerr << "internal error, please report: " << error.what() << '\n';
    return kOurBug;
  }
}
