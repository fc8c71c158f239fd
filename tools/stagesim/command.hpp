#pragma once

#include <ostream>
#include <string>
#include <string_view>
#include <vector>

namespace stagesim {

enum class Answer : int {
  kYes = 0,
  kNo = 1,
  kNotComparable = 4,
  kInterrupted = 130  // as a shell counts it
};                    // the exit codes 2 and 3 come from exceptions, in main alone

// A subcommand writes to the stream it is given; warnings and progress go to `notes`.
struct Command {
  std::string_view name, summary;
  Answer (*run)(const std::vector<std::string>& args, std::ostream& out, std::ostream& notes);
};

// One file each; the rows of main's table.
extern const Command kRunCommand;
extern const Command kCompareCommand;
extern const Command kPlanCommand;
extern const Command kCheckCommand;
extern const Command kDiffCommand;
extern const Command kExplainCommand;
extern const Command kSweepCommand;
extern const Command kExecuteCommand;
extern const Command kValidateCommand;
extern const Command kImportCommand;
extern const Command kListCommand;
extern const Command kShowCommand;
extern const Command kCalibrateCommand;

}  // namespace stagesim
