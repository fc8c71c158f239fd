#include "traces/timeline_json.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <tuple>

#include "sim/base/json_fields.hpp"
#include "sim/lower.hpp"
#include "traces/text_output.hpp"

namespace stagesim {
namespace {

constexpr std::size_t kMostProblems = 20;
constexpr std::int64_t kMostMicrobatches = 100'000'000;

bool written(const Activities& what, TaskId t) { return what.op[t].kind != OpKind::kJoin; }

using Place = std::tuple<std::string, int, int>;  // cell, from rank, to rank (of an op: the same)

Place place_of(const Activities& what, TaskId t) {
  const Lane& lane = what.lanes[what.lane[t]];
  return {cell_text(what.op[t], what.shape.pipelines), lane.from_rank, lane.to_rank};
}

std::string text_of(const Place& place) {
  const auto& [cell, from, to] = place;
  return from == to ? fmt::format("{} on rank {}", cell, from)
                    : fmt::format("{} from rank {} to {}", cell, from, to);
}

class Reader {
 public:
  Reader(const std::string& file, TimelineFile& result) : file_(file), result_(result) {}

  void read(const Json& json) {
    JsonSource source{.file = file_, .origins = {}, .problems = &problems_};
    JsonFields fields(json, source, "");
    fields.integer("stagesim_timeline", kTimelineVersion, kTimelineVersion);
    read_facts(fields);
    const Json& order = fields.any("order");
    const Json& ops = fields.any("ops");
    const Json& messages = fields.any("messages");
    fields.finish();
    problems_.throw_if_any();
    read_order(order);
    const Program program = program_of(result_);
    result_.timeline.what = program.what;
    find_tasks();
    read_events(ops, "ops", 4);
    read_events(messages, "messages", 5);
    ask_for_the_rest();
    check_ranks();
    if (count_ > kMostProblems)
      problems_.add("{}: {} more problems like these", file_, count_ - kMostProblems);
    problems_.throw_if_any();
    place_joins(program, result_.timeline);
  }

 private:
  void read_facts(JsonFields& fields) {
    result_.name = fields.string("name");
    result_.schedule = fields.string("schedule");
    result_.made_by = fields.string("made_by");
    result_.scenario = fields.any("scenario").dump();
    result_.scale = fields.number("scale", 1e-9, 1e9);
    const auto count = [&](const char* key, std::int64_t low) {
      return static_cast<int>(fields.integer(key, low, kMostMicrobatches));
    };
    result_.batch = count("batch", 1);
    result_.warm_windows = count("warm_windows", 0);
    result_.measured_windows = count("measured_windows", 0);
    result_.comm = fields.one_of("comm", {"overlapped", "blocking"}) == "blocking"
                       ? CommMode::kBlocking
                       : CommMode::kOverlapped;
    result_.barrier = fields.boolean("barrier", false);
    const Json& stages = fields.any("reduced_stages");
    for (const Json& stage : stages) {
      if (stage.is_number_integer() && stage.get<std::int64_t>() >= 0 &&
          stage.get<std::int64_t>() < 65536)
        result_.reduced_stages.push_back(stage.get<int>());
      else
        fields.wrong("reduced_stages", "a list of stages");
    }
  }

  void read_order(const Json& lines) {
    std::string text;
    if (!lines.is_array())
      throw InputError(
          fmt::format("{}: order: expected a list of lines, got {}", file_, short_text(lines)));
    for (const Json& line : lines)
      text += (line.is_string() ? line.get<std::string>() : short_text(line)) + "\n";
    result_.order = parse_schedule(text, file_ + ": order");
    check_schedule(result_.order);
    for (const int stage : result_.reduced_stages) {
      if (stage >= result_.order.shape.stages)
        throw InputError(fmt::format("{}: reduced_stages: stage {} of {}", file_, stage,
                                     result_.order.shape.stages));
    }
    const int windows = result_.order.shape.windows();
    if (result_.warm_windows + std::int64_t{result_.measured_windows} > windows)
      throw InputError(
          fmt::format("{}: warm_windows {} and measured_windows {} are more than the {} "
                      "of the order",
                      file_, result_.warm_windows, result_.measured_windows, windows));
  }

  template <typename... Args>
  void problem(fmt::format_string<Args...> text, Args&&... args) {
    if (++count_ <= kMostProblems) problems_.add(text, std::forward<Args>(args)...);
  }

  void find_tasks() {
    Timeline& timeline = result_.timeline;
    timeline.start.resize(timeline.what->size());
    timeline.end.resize(timeline.what->size());
    seen_.resize(timeline.what->size(), false);
    for (TaskId t = 0; t < timeline.what->size(); ++t) {
      if (written(*timeline.what, t)) task_at_[place_of(*timeline.what, t)] = t;
    }
  }

  // Rows of a cell, its rank or both ranks, start and end.
  void read_events(const Json& rows, const char* key, std::size_t columns) {
    Timeline& timeline = result_.timeline;
    if (!rows.is_array())
      return problem("{}: {}: expected a list, got {}", file_, key, short_text(rows));
    std::size_t position = 0;
    for (const Json& row : rows) {
      const std::string where = fmt::format("{}: {}[{}]", file_, key, position++);
      const bool right = row.is_array() && row.size() == columns && row[0].is_string() &&
                         std::all_of(row.begin() + 1, row.end(), [](const Json& n) {
                           return n.is_number_integer() && n.get<std::int64_t>() >= 0;
                         });
      if (!right) {
        problem("{}: expected [cell, {}, start, end] with times in whole nanoseconds, got {}",
                where, columns == 4 ? "rank" : "from rank, to rank", row.dump().substr(0, 80));
        continue;
      }
      const auto number = [&](std::size_t i) { return row[i].get<std::int64_t>(); };
      const Place place{row[0].get<std::string>(), static_cast<int>(number(1) & 0xffffff),
                        static_cast<int>(number(columns - 3) & 0xffffff)};
      const auto found = task_at_.find(place);
      const Nanos start{number(columns - 2)}, end{number(columns - 1)};
      if (found == task_at_.end()) {
        problem("{}: {} is not in the order", where, text_of(place));
      } else if (seen_[found->second]) {
        problem("{}: {} for the second time", where, text_of(place));
      } else if (columns == 4 && end < start) {  // a message's ends have clocks of their own
        problem("{}: {} ends at {} ns, before its start at {} ns", where, text_of(place),
                end.count(), start.count());
      } else {
        seen_[found->second] = true;
        timeline.start[found->second] = start;
        timeline.end[found->second] = end;
      }
    }
  }

  void ask_for_the_rest() {
    for (const auto& [place, task] : task_at_) {
      if (!seen_[task]) problem("{}: {} is in the order and has no times", file_, text_of(place));
    }
  }

  // A rank does one op after another, in the order of the file; the halves of a pair run together.
  void check_ranks() {
    const Activities& what = *result_.timeline.what;
    const auto ranks = static_cast<LaneId>(what.shape.ranks);
    for (TaskId t = 0, before = 0; t < what.size() && count_ == 0; ++t) {
      if (what.lane[t] >= ranks) continue;
      const bool follows = t > 0 && what.lane[before] == what.lane[t];
      const Timeline& timeline = result_.timeline;
      if (follows && what.op[t].pair != PairPart::kBackward &&
          timeline.start[t] < timeline.end[before])
        problem("{}: {} starts at {} ns, before {} has ended at {} ns", file_,
                text_of(place_of(what, t)), timeline.start[t].count(),
                text_of(place_of(what, before)), timeline.end[before].count());
      before = t;
    }
  }

  const std::string& file_;
  TimelineFile& result_;
  Problems problems_{};
  std::size_t count_ = 0;
  std::map<Place, TaskId> task_at_{};
  std::vector<bool> seen_{};
};

}  // namespace

Program program_of(const TimelineFile& file) {
  Costs costs;
  costs.stages.resize(static_cast<std::size_t>(file.order.shape.stages));
  for (const int stage : file.reduced_stages)
    costs.stages.at(static_cast<std::size_t>(stage)).reduce = Nanos{1};
  costs.comm = file.comm;
  costs.barrier = file.barrier;
  return lower(file.order, costs);
}

void write_timeline(std::ostream& out, const TimelineFile& file) {
  TextOutput output(out, "timeline");
  const auto line = [&](const std::string& text) {
    output.text() += text;
    output.end_line();
  };
  const auto quoted = [](const std::string& text) { return Json(text).dump(); };
  line(fmt::format("{{\"stagesim_timeline\": {},\n \"name\": {},\n \"schedule\": {},\n",
                   kTimelineVersion, quoted(file.name), quoted(file.schedule)));
  line(fmt::format(" \"made_by\": {},\n \"scenario\": {},\n \"scale\": {},\n", quoted(file.made_by),
                   file.scenario, file.scale));
  line(fmt::format(" \"batch\": {},\n \"warm_windows\": {},\n \"measured_windows\": {},\n",
                   file.batch, file.warm_windows, file.measured_windows));
  line(fmt::format(
      " \"comm\": \"{}\",\n \"barrier\": {},\n \"reduced_stages\": [{}],\n \"order\": [\n",
      file.comm == CommMode::kBlocking ? "blocking" : "overlapped", file.barrier,
      fmt::join(file.reduced_stages, ", ")));
  const std::string order = schedule_text(file.order);
  for (std::size_t at = 0; at < order.size();) {
    const std::size_t end = std::min(order.find('\n', at), order.size());
    line(fmt::format("{}  {}", at == 0 ? "" : ",\n", quoted(order.substr(at, end - at))));
    at = end + 1;
  }
  const Activities& what = *file.timeline.what;
  const auto rows = [&](bool messages) {
    bool first = true;
    for (TaskId t = 0; t < what.size(); ++t) {
      if (!written(what, t) || is_transfer(what.op[t].kind) != messages) continue;
      const auto [cell, from, to] = place_of(what, t);
      line(fmt::format("{}  [\"{}\", {}, {}, {}]", first ? "" : ",\n", cell,
                       messages ? fmt::format("{}, {}", from, to) : fmt::format("{}", from),
                       file.timeline.start[t].count(), file.timeline.end[t].count()));
      first = false;
    }
  };
  line("],\n \"ops\": [\n");
  rows(false);
  line("],\n \"messages\": [\n");
  rows(true);
  line("]}\n");
  output.finish();
}

TimelineFile read_timeline(std::string_view text, const std::string& file) {
  const Json json = parse_json(text, file);
  if (!json.is_object() || !json.contains("stagesim_timeline")) {
    throw InputError(
        fmt::format("{}: not a timeline: expected an object with 'stagesim_timeline', as run and "
                    "execute write it with --timeline",
                    file));
  }
  TimelineFile result;
  Reader(file, result).read(json);
  return result;
}

}  // namespace stagesim
