#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/error.hpp"

namespace stagesim {

using Json = nlohmann::json;

// Parses JSON with comments. Throws InputError "<file>:<line>: not valid JSON: …"; duplicate keys
// are an error too, because the library would keep the last one without a word.
Json parse_json(std::string_view text, const std::string& file);

// Where a value really came from, by dotted path: "batch.micro" -> "--set batch.micro=4". Messages
// then name what the user typed instead of the file.
using Origins = std::map<std::string, std::string>;

struct JsonSource {
  std::string file;
  Origins origins;
  Problems* problems = nullptr;  // every reader of one input reports here
  Origins options{};             // without a file: the option that would give a path, "--ranks"

  // "<file>: <path>" or the origin of the path.
  std::string where(const std::string& path) const;
};

// Strict reader of one JSON object: every field is asked for by name, finish() reports the fields
// nobody asked for with the nearest known name. Problems are collected, never thrown here.
class JsonFields {
 public:
  JsonFields(const Json& object, const JsonSource& source, std::string path);

  bool has(const std::string& key);
  // Names that are known although this run may not ask for them.
  void expect(const std::vector<std::string>& keys);

  // Required when no default is given. Out of [low, high] or of another type: a problem, and the
  // default (or low) comes back so that reading goes on.
  std::int64_t integer(const std::string& key, std::int64_t low, std::int64_t high,
                       std::optional<std::int64_t> fallback = {});
  double number(const std::string& key, double low, double high,
                std::optional<double> fallback = {});
  bool boolean(const std::string& key, bool fallback);
  std::string string(const std::string& key, const std::optional<std::string>& fallback = {});
  std::string one_of(const std::string& key, const std::vector<std::string>& allowed,
                     const std::optional<std::string>& fallback = {});
  // A number stands for `count` equal entries; an array must have `count` of them. With count 0 the
  // values are checked but their number is not known yet: empty comes back.
  std::vector<double> numbers(const std::string& key, std::size_t count, double low, double high);

  // The value as it is, or null; counts as asked for.
  const Json& any(const std::string& key);
  // An object; an empty one (and a problem unless optional) when it is missing or something else.
  JsonFields child(const std::string& key, bool optional = true);

  void missing(const std::string& key);
  void wrong(const std::string& key, std::string_view expected);
  template <typename... Args>
  void problem(const std::string& key, fmt::format_string<Args...> text, Args&&... args) {
    report(key, fmt::format(text, std::forward<Args>(args)...));
  }
  void finish();

  std::string path_of(const std::string& key) const {
    return path_.empty() ? key : path_ + "." + key;
  }
  const JsonSource& source() const { return *source_; }

 private:
  void report(const std::string& key, const std::string& text);
  const Json* find(const std::string& key);

  const Json* object_;
  const JsonSource* source_;
  std::string path_;
  std::vector<std::string> known_;
};

// "-1", "\"four\"", "an array of 3", shortened for messages.
std::string short_text(const Json& value);

}  // namespace stagesim
