#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hwmodels/logs/reading.hpp"

// What the text readers share.
namespace stagesim {

std::vector<std::string_view> lines_of(std::string_view text);  // without line ends
std::vector<std::string_view> words_of(std::string_view line);  // split at blanks and tabs
std::vector<std::string_view> cells_of(std::string_view line);  // of a CSV without quotes, trimmed
std::string_view trimmed(std::string_view text);
std::string lower_case(std::string_view text);
bool contains(std::string_view text, std::string_view part);
// What follows `part` in `text`, trimmed; nothing when it is not there.
std::optional<std::string_view> after(std::string_view text, std::string_view part);

// The whole word is a finite number.
std::optional<double> number_in(std::string_view word);
std::optional<long long> count_in(std::string_view word);  // digits only
// Half a unit of the last printed digit: "97.90" 0.005, "14640" 0.5, "1.2e+06" 50000.
double rounding_of(std::string_view word);

// For a terminal and for JSON: no control characters, ASCII only, shortened.
std::string printable(std::string_view text);

// Counts a line that holds nothing we know and quotes the first few.
void skip_line(LogReading& reading, std::size_t line, std::string_view text);
void add_device(LogReading& reading, std::string_view name);
double median_of(std::vector<double> values);  // 0 for none

}  // namespace stagesim
