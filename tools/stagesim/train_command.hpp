#pragma once

#include <boost/program_options.hpp>
#include <ostream>

#include "tools/stagesim/command.hpp"

namespace stagesim {

// `stagesim execute --work train`.
boost::program_options::options_description train_options();
bool wants_training(const boost::program_options::variables_map& vm);

// Trains one model under every schedule that is asked for and on one device, and prints the losses
// side by side, whether the versions are the predicted ones, and how far the weights are from those
// of one device. kNo when versions differ, or weights of a schedule with a flush.
Answer train_command(const boost::program_options::variables_map& vm, std::ostream& out,
                     std::ostream& notes);

}  // namespace stagesim
