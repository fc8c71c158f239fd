#pragma once

#include <ostream>
#include <vector>

#include "hwmodels/fit/calibration.hpp"

namespace stagesim {

void print_readings(std::ostream& out, const std::vector<LogReading>& readings);
void print_curves(std::ostream& out, const std::vector<MeasuredCurve>& curves);
void print_gemms(std::ostream& out, const MeasuredGemms& gemms);
void print_memory(std::ostream& out, const GpuProfile& gpu);  // after update_memory()

}  // namespace stagesim
