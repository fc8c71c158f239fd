#include "sim/base/json_fields.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "sim/base/names.hpp"

namespace stagesim {
namespace {

// "1", "0.5", "1000000000": shortest text that reads back, without a trailing ".0".
std::string bound_text(double value) {
  if (value == std::floor(value) && std::abs(value) < 1e15) {
    return fmt::format("{}", static_cast<std::int64_t>(value));
  }
  return fmt::format("{}", value);
}

std::string range_text(double low, double high) {
  const bool open = high >= std::numeric_limits<double>::max();
  return open ? fmt::format("of at least {}", bound_text(low))
              : fmt::format("from {} to {}", bound_text(low), bound_text(high));
}

constexpr int kDeepest = 100;  // copying JSON recurses

}  // namespace

std::string short_text(const Json& value) {
  if (value.is_array()) return fmt::format("an array of {}", value.size());
  if (value.is_object()) return "an object";
  std::string text = value.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (text.size() > 60) text = text.substr(0, 57) + "...";
  return text;
}

Json parse_json(std::string_view text, const std::string& file) {
  if (text.find_first_not_of(" \t\r\n") == std::string_view::npos) {
    throw InputError(fmt::format("{}: the file is empty, expected a JSON object", file));
  }
  Problems problems;
  std::vector<std::set<std::string>> open;  // keys seen in each open object
  const auto watch = [&](int depth, Json::parse_event_t event, Json& parsed) {
    if (depth > kDeepest)
      throw InputError(fmt::format("{}: nested more than {} levels deep", file, kDeepest));
    if (event == Json::parse_event_t::object_start) open.emplace_back();
    if (event == Json::parse_event_t::object_end && !open.empty()) open.pop_back();
    if (event == Json::parse_event_t::key && !open.empty()) {
      const auto& key = parsed.get_ref<const std::string&>();
      if (!open.back().insert(key).second) {
        problems.add("{}: the key '{}' appears twice in one object", file, key);
      }
    }
    return true;
  };
  try {
    Json result = Json::parse(text, watch, true, true);
    problems.throw_if_any();
    return result;
  } catch (const Json::parse_error& error) {
    const std::size_t end = std::min(error.byte, text.size());
    const auto line =
        1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(end), '\n');
    std::string what = error.what();
    const std::size_t colon = what.find(": ");
    if (colon != std::string::npos) what = what.substr(colon + 2);
    throw InputError(fmt::format("{}:{}: not valid JSON: {}", file, line, what));
  } catch (const Json::out_of_range& error) {
    throw InputError(
        fmt::format("{}: not valid JSON: a number is out of range ({})", file, error.what()));
  }
}

std::string JsonSource::where(const std::string& path) const {
  if (const auto found = origins.find(path); found != origins.end()) return found->second;
  // An override of a whole object or list stands for what is in it.
  for (std::size_t dot = path.rfind('.'); dot != std::string::npos && dot > 0;
       dot = path.rfind('.', dot - 1)) {
    if (const auto found = origins.find(path.substr(0, dot)); found != origins.end()) {
      return fmt::format("{}: {}", found->second, path);
    }
  }
  return fmt::format("{}: {}", file, path);
}

JsonFields::JsonFields(const Json& object, const JsonSource& source, std::string path)
    : object_(&object), source_(&source), path_(std::move(path)) {
  STAGESIM_CHECK(object.is_object() && source.problems != nullptr);
}

const Json* JsonFields::find(const std::string& key) {
  if (std::find(known_.begin(), known_.end(), key) == known_.end()) known_.push_back(key);
  const auto found = object_->find(key);
  return found == object_->end() ? nullptr : &*found;
}

void JsonFields::report(const std::string& key, const std::string& text) {
  // A field that two readers ask for is wrong once.
  std::string line = fmt::format("{}: {}", source_->where(path_of(key)), text);
  const std::vector<std::string>& known = source_->problems->lines();
  if (std::find(known.begin(), known.end(), line) == known.end())
    source_->problems->add_text(std::move(line));
}

void JsonFields::expect(const std::vector<std::string>& keys) {
  for (const std::string& key : keys) find(key);
}

bool JsonFields::has(const std::string& key) { return find(key) != nullptr; }

void JsonFields::missing(const std::string& key) {
  if (const auto option = source_->options.find(path_of(key)); option != source_->options.end()) {
    source_->problems->add("{}: missing {} ({})", source_->file, option->second, path_of(key));
    return;
  }
  const std::string outer = path_.empty() ? source_->file : source_->where(path_);
  source_->problems->add("{}: missing field '{}'", outer, key);
}

void JsonFields::wrong(const std::string& key, std::string_view expected) {
  const Json* value = find(key);
  report(key, fmt::format("expected {}, got {}", expected, value ? short_text(*value) : "nothing"));
}

std::int64_t JsonFields::integer(const std::string& key, std::int64_t low, std::int64_t high,
                                 std::optional<std::int64_t> fallback) {
  const Json* value = find(key);
  if (value == nullptr) {
    if (!fallback) missing(key);
    return fallback.value_or(low);
  }
  // 1e3 and 8.0 are whole numbers too; 1.5 is not.
  if (value->is_number()) {
    const double number = value->get<double>();
    if (number == std::floor(number) && number >= static_cast<double>(low) &&
        number <= static_cast<double>(high)) {
      return value->is_number_integer() ? value->get<std::int64_t>()
                                        : static_cast<std::int64_t>(number);
    }
  }
  wrong(key, fmt::format("a whole number {}",
                         range_text(static_cast<double>(low), static_cast<double>(high))));
  return fallback.value_or(low);
}

double JsonFields::number(const std::string& key, double low, double high,
                          std::optional<double> fallback) {
  const Json* value = find(key);
  if (value == nullptr) {
    if (!fallback) missing(key);
    return fallback.value_or(low);
  }
  if (value->is_number() && value->get<double>() >= low && value->get<double>() <= high) {
    return value->get<double>();
  }
  wrong(key, fmt::format("a number {}", range_text(low, high)));
  return fallback.value_or(low);
}

bool JsonFields::boolean(const std::string& key, bool fallback) {
  const Json* value = find(key);
  if (value == nullptr) return fallback;
  if (value->is_boolean()) return value->get<bool>();
  wrong(key, "true or false");
  return fallback;
}

std::string JsonFields::string(const std::string& key, const std::optional<std::string>& fallback) {
  const Json* value = find(key);
  if (value == nullptr) {
    if (!fallback) missing(key);
    return fallback.value_or("");
  }
  if (value->is_string()) return value->get<std::string>();
  wrong(key, "a string");
  return fallback.value_or("");
}

std::string JsonFields::one_of(const std::string& key, const std::vector<std::string>& allowed,
                               const std::optional<std::string>& fallback) {
  const Json* value = find(key);
  if (value == nullptr) {
    if (!fallback) missing(key);
    return fallback.value_or(allowed.front());
  }
  if (value->is_string()) {
    const auto text = value->get<std::string>();
    if (std::find(allowed.begin(), allowed.end(), text) != allowed.end()) return text;
    const std::string near = nearest_name(text, allowed);
    report(key, fmt::format("expected one of {}, got '{}'{}", fmt::join(allowed, ", "), text,
                            near.empty() ? "" : fmt::format(" (did you mean '{}'?)", near)));
  } else {
    wrong(key, fmt::format("one of {}", fmt::join(allowed, ", ")));
  }
  return fallback.value_or(allowed.front());
}

std::vector<double> JsonFields::numbers(const std::string& key, std::size_t count, double low,
                                        double high) {
  const Json* value = find(key);
  if (value == nullptr) {
    missing(key);
    return std::vector<double>(count, low);
  }
  const auto good = [&](const Json& entry) {
    return entry.is_number() && entry.get<double>() >= low && entry.get<double>() <= high;
  };
  if (good(*value)) return std::vector<double>(count, value->get<double>());
  if (!value->is_array()) {
    wrong(key, fmt::format("a number {}, or a list of {}", range_text(low, high),
                           count == 0 ? "them" : fmt::format("{} of them", count)));
    return std::vector<double>(count, low);
  }
  if (count > 0 && value->size() != count) {
    report(key, fmt::format("expected {} entries (one per stage) or one for all, got {}", count,
                            value->size()));
    return std::vector<double>(count, low);
  }
  std::vector<double> result;
  for (std::size_t i = 0; i < value->size(); ++i) {
    const Json& entry = (*value)[i];
    if (!good(entry)) {
      report(key, fmt::format("entry {}: expected a number {}, got {}", i, range_text(low, high),
                              short_text(entry)));
    }
    result.push_back(good(entry) ? entry.get<double>() : low);
  }
  if (count == 0) result.clear();
  return result;
}

const Json& JsonFields::any(const std::string& key) {
  static const Json null;
  const Json* value = find(key);
  return value == nullptr ? null : *value;
}

JsonFields JsonFields::child(const std::string& key, bool optional) {
  static const Json empty = Json::object();
  const Json* value = find(key);
  if (value == nullptr && !optional) missing(key);
  if (value != nullptr && !value->is_object()) wrong(key, "an object");
  return JsonFields(value != nullptr && value->is_object() ? *value : empty, *source_,
                    path_of(key));
}

void JsonFields::finish() {
  for (const auto& [key, value] : object_->items()) {
    if (std::find(known_.begin(), known_.end(), key) != known_.end()) continue;
    const std::string near = nearest_name(key, known_);
    const std::string path = path_of(key);
    // "--set rnu.steps=2" made the field 'rnu'.
    const auto typed = source_->origins.lower_bound(path);
    const bool below = typed != source_->origins.end() &&
                       (typed->first == path || typed->first.rfind(path + ".", 0) == 0);
    const std::string outer = below           ? typed->second
                              : path_.empty() ? source_->file
                                              : source_->where(path_);
    std::vector<std::string> sorted = known_;
    std::sort(sorted.begin(), sorted.end());
    source_->problems->add("{}: unknown field '{}'{}; known: {}", outer, key,
                           near.empty() ? "" : fmt::format(" (did you mean '{}'?)", near),
                           fmt::join(sorted, ", "));
  }
}

}  // namespace stagesim
