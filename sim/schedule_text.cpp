#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>
#include <utility>

#include "sim/base/names.hpp"
#include "sim/schedule.hpp"

namespace stagesim {

std::string schedule_text(const Schedule& s) {
  const Shape& shape = s.shape;
  std::set<std::pair<int, int>> late;
  for (const Op& op : s.late_sends) late.insert({op.stage, op.microbatch});
  std::string out = fmt::format(
      "# {} ranks={} stages={} pipelines={} microbatches={} window={} rule={} optimizer={}\n",
      s.name, shape.ranks, shape.stages, shape.pipelines, shape.microbatches, shape.window,
      text(shape.rule), text(shape.optimizer));
  if (shape.forward_only) out.insert(out.size() - 1, " forward_only=1");
  out += "# rank of each stage:";
  for (int p = 0; p < shape.pipelines; ++p) {
    if (p > 0) out += " |";
    for (int stage = 0; stage < shape.stages; ++stage)
      out += fmt::format(" {}", shape.rank_of(p, stage));
  }
  out += '\n';
  for (const std::vector<Op>& ops : s.ops_of_rank) {
    for (std::size_t i = 0; i < ops.size(); ++i) {
      if (i > 0) out += ' ';
      if (ops[i].pair == PairPart::kForward && i + 1 < ops.size()) {
        out += pair_text(ops[i], ops[i + 1], shape.pipelines);
        ++i;
        continue;
      }
      out += cell_text(ops[i], shape.pipelines);
      if (ops[i].kind == OpKind::kForward && late.count({ops[i].stage, ops[i].microbatch}) > 0)
        out += '+';
    }
    out += '\n';
  }
  return out;
}

namespace {

std::optional<int> whole_number(std::string_view text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size() || value < 0)
    return {};
  return value;
}

std::vector<std::string_view> split(std::string_view line, std::string_view separators) {
  std::vector<std::string_view> words;
  for (std::size_t at = 0; at < line.size();) {
    const std::size_t start = line.find_first_not_of(separators, at);
    if (start == std::string_view::npos) break;
    const std::size_t end = std::min(line.find_first_of(separators, start), line.size());
    words.push_back(line.substr(start, end - start));
    at = end;
  }
  return words;
}

// "<stage><op><micro-batch>[@<pipeline>]", the whole token or nothing.
std::optional<Op> parse_cell(std::string_view token) {
  const std::size_t letter = token.find_first_not_of("0123456789");
  if (letter == std::string_view::npos || letter == 0) return {};
  Op op;
  switch (token[letter]) {
    case 'F':
      op.kind = OpKind::kForward;
      break;
    case 'B':
      op.kind = OpKind::kBackward;
      break;
    case 'I':
      op.kind = OpKind::kInputGrad;
      break;
    case 'W':
      op.kind = OpKind::kWeightGrad;
      break;
    case 'U':
      op.kind = OpKind::kUpdate;
      break;
    default:
      return {};
  }
  std::string_view rest = token.substr(letter + 1);
  const std::size_t at = rest.find('@');
  const auto stage = whole_number(token.substr(0, letter));
  const auto microbatch = whole_number(rest.substr(0, at));
  const auto pipeline = at == std::string_view::npos ? 0 : whole_number(rest.substr(at + 1));
  if (!stage || !microbatch || !pipeline || *stage > 0xffff || *pipeline > 0xffff) return {};
  op.stage = static_cast<std::uint16_t>(*stage);
  op.microbatch = *microbatch;
  op.pipeline = static_cast<std::uint16_t>(*pipeline);
  return op;
}

void parse_header(std::string_view line, std::string_view file, Schedule& s, Problems& problems) {
  const std::vector<std::string> known{"ranks",  "stages", "pipelines", "microbatches",
                                       "window", "rule",   "optimizer", "forward_only"};
  const auto words = split(line, " \t\r");
  if (words.size() < 2 || words[0] != "#") {
    problems.add("{}:1: expected '# <name> ranks=… stages=…', got '{}'", file, line.substr(0, 60));
    return;
  }
  s.name = words[1];
  for (std::size_t i = 2; i < words.size(); ++i) {
    const std::size_t equals = words[i].find('=');
    const std::string key(words[i].substr(0, equals));
    const std::string_view value =
        equals == std::string_view::npos ? "" : words[i].substr(equals + 1);
    if (std::find(known.begin(), known.end(), key) == known.end()) {
      problems.add("{}:1: {}", file, unknown_name("key", key, known));
    } else if (key == "rule") {
      bool found = false;
      for (const VersionRule rule : kVersionRules) {
        if (value == text(rule)) s.shape.rule = rule, found = true;
      }
      if (!found) {
        problems.add(
            "{}:1: rule: expected flush, stash, double-buffer, latest, vertical-sync or predict, "
            "got '{}'",
            file, value);
      }
    } else if (key == "optimizer") {
      if (value != "owner" && value != "replicated") {
        problems.add("{}:1: optimizer: expected owner or replicated, got '{}'", file, value);
      }
      s.shape.optimizer = value == "owner" ? Optimizer::kOwner : Optimizer::kReplicated;
    } else {
      const auto number = whole_number(value);
      if (!number || *number == 0 || *number > 1'000'000'000) {
        problems.add("{}:1: {}: expected a whole number from 1 to 1000000000, got '{}'", file, key,
                     value);
        continue;
      }
      if (key == "ranks") s.shape.ranks = *number;
      if (key == "stages") s.shape.stages = *number;
      if (key == "pipelines") s.shape.pipelines = *number;
      if (key == "microbatches") s.shape.microbatches = *number;
      if (key == "window") s.shape.window = *number;
      if (key == "forward_only") s.shape.forward_only = true;
    }
  }
  if (s.shape.ranks == 0 || s.shape.stages == 0 || s.shape.microbatches == 0 ||
      s.shape.window == 0) {
    problems.add("{}:1: the header needs ranks, stages, microbatches and window", file);
  } else if (s.shape.microbatches % s.shape.window != 0) {
    problems.add("{}:1: microbatches: {} do not divide by the window of {}", file,
                 s.shape.microbatches, s.shape.window);
  }
}

void parse_placement(std::string_view line, std::string_view file, Schedule& s,
                     Problems& problems) {
  constexpr std::string_view kLabel = "# rank of each stage:";
  if (line.substr(0, kLabel.size()) != kLabel) {
    problems.add("{}:2: expected '{} …', got '{}'", file, kLabel, line.substr(0, 60));
    return;
  }
  for (const std::string_view word : split(line.substr(kLabel.size()), " \t\r|")) {
    const auto rank = whole_number(word);
    if (!rank || *rank >= s.shape.ranks) {
      problems.add("{}:2: expected a rank from 0 to {}, got '{}'", file, s.shape.ranks - 1, word);
    }
    s.shape.rank_of_stage.push_back(rank.value_or(0));
  }
  const auto expected =
      static_cast<std::size_t>(s.shape.stages) * static_cast<std::size_t>(s.shape.pipelines);
  if (s.shape.rank_of_stage.size() != expected) {
    problems.add("{}:2: expected {} ranks (stages x pipelines), got {}", file, expected,
                 s.shape.rank_of_stage.size());
  }
}

}  // namespace

std::vector<Op> parse_op_token(std::string_view token) {
  constexpr std::string_view kEnd = ")OVERLAP_F_B";
  const std::size_t middle = token.find(';');
  if (middle == std::string_view::npos) {
    const auto op = parse_cell(token);
    return op ? std::vector<Op>{*op} : std::vector<Op>{};
  }
  if (token.front() != '(' || token.size() < kEnd.size() + middle + 1 ||
      token.substr(token.size() - kEnd.size()) != kEnd) {
    return {};
  }
  auto forward = parse_cell(token.substr(1, middle - 1));
  auto backward = parse_cell(token.substr(middle + 1, token.size() - kEnd.size() - middle - 1));
  if (!forward || !backward || forward->kind != OpKind::kForward || !is_gradient(backward->kind))
    return {};
  forward->pair = PairPart::kForward;
  backward->pair = PairPart::kBackward;
  return {*forward, *backward};
}

Schedule parse_schedule(std::string_view input, std::string_view file) {
  Problems problems;
  Schedule s;
  int number = 0;
  for (std::size_t at = 0; at < input.size();) {
    const std::size_t end = std::min(input.find('\n', at), input.size());
    const std::string_view line = input.substr(at, end - at);
    at = end + 1;
    ++number;
    if (number == 1) {
      parse_header(line, file, s, problems);
      problems.throw_if_any();  // the rest would only repeat it
    } else if (number == 2) {
      parse_placement(line, file, s, problems);
    } else {
      auto& ops = s.ops_of_rank.emplace_back();
      for (const std::string_view token : split(line, " \t\r")) {
        const bool late = token.size() > 1 && token.back() == '+';
        const auto found = parse_op_token(late ? token.substr(0, token.size() - 1) : token);
        if (!found.empty() && (!late || (found.size() == 1 && found[0].kind == OpKind::kForward))) {
          ops.insert(ops.end(), found.begin(), found.end());
          if (late) s.late_sends.push_back(found[0]);
        } else {
          problems.add(
              "{}:{}:{}: expected a cell such as 2F0, 1W3, 0B7@1 or (0F7;7B3)OVERLAP_F_B, got "
              "'{}'",
              file, number, token.data() - line.data() + 1, token.substr(0, 40));
        }
      }
    }
  }
  if (number < 2) problems.add("{}: expected a header, a placement and one line per rank", file);
  if (number >= 2 && s.ops_of_rank.size() != static_cast<std::size_t>(s.shape.ranks)) {
    problems.add("{}: expected {} lines of cells, one per rank, got {}", file, s.shape.ranks,
                 s.ops_of_rank.size());
  }
  problems.throw_if_any();
  return s;
}

}  // namespace stagesim
