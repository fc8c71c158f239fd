#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "hwmodels/logs/log_text.hpp"
#include "hwmodels/logs/nccl_run.hpp"
#include "hwmodels/logs/readers.hpp"

namespace stagesim {
namespace {

// mpirun and srun put "[1,0]<stdout>:", "0: " or "[0]" before a line, or glued to a number in it.
std::string_view without_tag(std::string_view word) {
  while (!word.empty() && word.front() == '[') {
    const std::size_t close = word.find(']');
    if (close == std::string_view::npos) return word;
    word.remove_prefix(close + 1);
    const std::size_t colon = word.find(">:");
    if (!word.empty() && word.front() == '<' && colon != std::string_view::npos)
      word.remove_prefix(colon + 2);
  }
  return word;
}

bool is_date(std::string_view word) {
  return word.size() == 10 && word[4] == '-' && word[7] == '-';
}

struct Header {
  std::size_t words_of_group = 4;  // time algbw busbw error; 8 with -I, which adds four
  int groups = 2;
  double unit_us = 1;
};

struct TextRun {
  NcclRun run;
  Header header;
  std::map<long long, std::vector<long long>> ranks_of_group;
  int starts = 0;  // "nThread" lines before the first row
  bool started() const { return !run.rows.empty(); }
};

std::optional<NcclCell> read_cell(const std::string_view* words, double unit_us) {
  const auto us = number_in(words[0]), algbw = number_in(words[1]), busbw = number_in(words[2]);
  if (!us || !algbw || !busbw || *us <= 0 || *algbw < 0 || *busbw < 0) return {};
  return NcclCell{.us = *us * unit_us,
                  .algbw = *algbw,
                  .busbw = *busbw,
                  .us_rounding = rounding_of(words[0]) * unit_us,
                  .algbw_rounding = rounding_of(words[1]),
                  .busbw_rounding = rounding_of(words[2])};
}

// The columns between type and times: an operator, a root, both or none.
void read_middle(NcclRow& row, const std::string_view* from, const std::string_view* to) {
  for (; from != to; ++from) {
    if (*from == "-1") {
      row.root = -1;
    } else if (const auto root = count_in(*from)) {
      row.root = *root;
    } else {
      row.redop = std::string(*from);
    }
  }
}

// A row is "<int> <int> <type> …" after whatever a launcher put before; what follows is counted
// from the end, because columns came and went over the versions. False: no row.
bool read_row(LogReading& reading, TextRun& state, std::size_t line,
              std::vector<std::string_view> words) {
  for (auto& word : words) word = without_tag(word);
  words.erase(std::remove(words.begin(), words.end(), std::string_view{}), words.end());
  std::size_t type = 2;
  while (type < words.size() && !(nccl_type_bytes(words[type]) > 0 && count_in(words[type - 1]) &&
                                  count_in(words[type - 2])))
    ++type;
  if (type >= words.size()) return false;
  NcclRow row{.line = line,
              .bytes = static_cast<double>(*count_in(words[type - 2])),
              .count = static_cast<double>(*count_in(words[type - 1])),
              .type = std::string(words[type]),
              .redop = {},
              .root = {},
              .out_of_place = {},
              .in_place = {}};
  std::vector<std::string_view> rest(words.begin() + static_cast<std::ptrdiff_t>(type) + 1,
                                     words.end());
  if (rest.size() >= 2 && is_date(rest[rest.size() - 2])) rest.resize(rest.size() - 2);
  const std::size_t width = state.header.words_of_group;
  std::size_t middle = 0;
  if (state.header.groups == 2 && rest.size() >= 2 * width) {
    middle = rest.size() - 2 * width;
    row.out_of_place = read_cell(&rest[middle], state.header.unit_us);
    row.in_place = read_cell(&rest[middle + width], state.header.unit_us);
  } else if (rest.size() >= width) {  // one group; under a header of two only in-place was run
    middle = rest.size() - width;
    (state.header.groups == 2 ? row.in_place : row.out_of_place) =
        read_cell(&rest[middle], state.header.unit_us);
  }
  if (middle > 2 || (!row.out_of_place && !row.in_place)) {
    reading.problems.add(
        "{}:{}: expected operator and root (or neither) and then time, algbw, busbw and errors for "
        "{} halves, got {} words after '{}'",
        reading.file, line, state.header.groups, rest.size(), row.type);
    return true;
  }
  read_middle(row, rest.data(), rest.data() + middle);
  state.run.rows.push_back(std::move(row));
  return true;
}

void read_rank_line(LogReading& reading, TextRun& state, std::string_view line) {
  const auto words = words_of(line);
  std::optional<long long> rank;
  long long group = 0;
  for (std::size_t i = 0; i + 1 < words.size(); ++i) {
    if (words[i] == "Rank" && !rank) rank = count_in(words[i + 1]);
    if (words[i] == "Group") group = count_in(words[i + 1]).value_or(0);
  }
  if (!rank) return;
  state.ranks_of_group[group].push_back(*rank);
  if (const auto device = after(line, " device ")) {
    const std::size_t close = device->find(']');
    if (close != std::string_view::npos) add_device(reading, device->substr(close + 1));
  }
}

void finish_run(LogReading& reading, TextRun& state) {
  std::size_t most = 0;
  bool twice = false;
  for (auto& [group, ranks] : state.ranks_of_group) {
    std::sort(ranks.begin(), ranks.end());
    twice = twice || std::adjacent_find(ranks.begin(), ranks.end()) != ranks.end();
    ranks.erase(std::unique(ranks.begin(), ranks.end()), ranks.end());
    // An excerpt may leave ranks out; the highest tells how many there were.
    most = std::max({most, ranks.size(), static_cast<std::size_t>(ranks.back()) + 1});
  }
  state.run.participants = static_cast<int>(std::min<std::size_t>(most, 1u << 30));
  if (state.starts > 1 || twice) {
    reading.problems.add(
        "{}: {} headers before the first row and nranks = {}: several runs wrote into each other, "
        "each with its own Rank 0; build nccl-tests with MPI=1 so that they form one run",
        reading.file, state.starts, state.run.participants);
  }
  if (state.started()) add_run(reading, state.run);
  state = TextRun{};
}

std::string first_word(std::string_view text) {
  const auto words = words_of(text.substr(0, 60));
  return words.empty() ? "" : std::string(words[0]);
}

// Each rank may print it again.
void add_version(LogReading& reading, const std::string& version) {
  if (contains(reading.version, version)) return;
  reading.version += (reading.version.empty() ? "" : ", ") + version;
}

void read_comment(LogReading& reading, TextRun& state, std::string_view line) {
  if (const auto version = after(line, "nccl-tests version ")) {
    add_version(reading, first_word(*version));
    if (const auto library = after(line, "nccl-library=")) {
      if (const auto number = number_in(first_word(*library)))
        add_version(reading, "NCCL " + nccl_version(*number));
    }
  } else if (const auto program = after(line, "Collective test starting:")) {
    if (state.started()) finish_run(reading, state);
    const std::size_t slash = program->rfind('/');
    state.run.program =
        std::string(slash == std::string_view::npos ? *program : program->substr(slash + 1));
  } else if (contains(line, "nThread ") && contains(line, "nGpus ")) {
    if (state.started()) finish_run(reading, state);
    ++state.starts;
  } else if (contains(line, "Rank ") && contains(line, " device ")) {
    read_rank_line(reading, state, line);
  } else if (const auto average = after(line, "Avg bus bandwidth")) {
    const auto words = words_of(*average);
    const std::size_t at = !words.empty() && words[0] == ":" ? 1 : 0;
    if (at < words.size()) {
      state.run.average = number_in(words[at]);
      state.run.average_rounding =
          std::max(rounding_of(words[at]), 5e-6 * state.run.average.value_or(0));
    }
  } else if (contains(line, "algbw") && contains(line, "busbw")) {
    const auto words = words_of(line);
    const auto is_time = [](std::string_view word) { return word == "time" || word == "cputime"; };
    Header& header = state.header;
    header.groups =
        static_cast<int>(std::count_if(words.begin(), words.end(), is_time)) > 1 ? 2 : 1;
    header.words_of_group = contains(line, "i_min") ? 8 : 4;
    state.run.redop_column = contains(line, "redop");
    // v1.0.0 (2018) printed milliseconds, under the words "bytes N".
    header.unit_us = contains(line, " bytes ") && contains(line, " N ") ? 1e3 : 1;
  }
}

}  // namespace

LogReading read_nccl_tests_text(std::string_view text, const std::string& file) {
  LogReading reading{.file = file, .tool = "nccl-tests"};
  TextRun state;
  std::size_t number = 0;
  for (const std::string_view line : lines_of(text)) {
    ++number;
    if (trimmed(line).empty()) continue;
    const bool header = contains(line, "nThread ") && contains(line, "nGpus ");
    if (header || contains(line, "#")) {
      read_comment(reading, state, line);
    } else if (!read_row(reading, state, number, words_of(line))) {
      if (const auto version = after(line, "NCCL version ")) {
        add_version(reading, "NCCL " + first_word(*version));
      } else {
        skip_line(reading, number, line);
      }
    }
  }
  finish_run(reading, state);
  if (reading.rows == 0 && reading.problems.empty()) {
    reading.problems.add("{}: nccl-tests output without a single row of results", file);
  }
  return reading;
}

}  // namespace stagesim
