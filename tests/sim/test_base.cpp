#include <nlohmann/json.hpp>

#include "sim/base/json_fields.hpp"
#include "sim/base/names.hpp"
#include "sim/base/time.hpp"
#include "tests/support/catch.hpp"

using namespace stagesim;

TEST_CASE("the nearest name is what the user meant, or nothing", "[base]") {
  const std::vector<std::string> known{"gpipe", "1f1b", "pipedream", "pipedream-2bw", "amdp"};
  CHECK(nearest_name("1f1c", known) == "1f1b");
  CHECK(nearest_name("AMPD", known) == "amdp");
  CHECK(nearest_name("gpip", known) == "gpipe");
  CHECK(nearest_name("pipedraem", known) == "pipedream");
  CHECK(nearest_name("2bw", known) == "pipedream-2bw");
  CHECK(nearest_name("megatron", known) == "");
  CHECK(nearest_name("", known) == "");
  CHECK(unknown_name("schedule", "1f1c", {"gpipe", "1f1b"}) ==
        "unknown schedule '1f1c' (did you mean '1f1b'?); known: gpipe, 1f1b");
  CHECK(unknown_name("schedule", "zzz", {"gpipe"}) == "unknown schedule 'zzz'; known: gpipe");
}

TEST_CASE("JSON syntax errors name file and line, duplicate keys are refused", "[base][errors]") {
  CHECK_THROWS_WITH(parse_json("{\n  \"a\": 1,\n  \"b\" 2\n}", "x.json"),
                    contains("x.json:3: not valid JSON: "));
  CHECK_THROWS_WITH(parse_json("{\"a\": 1, \"a\": 2}", "x.json"),
                    "x.json: the key 'a' appears twice in one object");
  CHECK(parse_json("{ // why\n \"a\": {\"b\": 1}, \"c\": {\"b\": 2} }", "x.json")["c"]["b"] == 2);
  CHECK_THROWS_WITH(parse_json("{\"a\": 1e999}", "x.json"), contains("x.json"));
  CHECK_THROWS_AS(parse_json("", "x.json"), InputError);
}

TEST_CASE("all problems of one object come together, each with path, value and expectation",
          "[base][errors]") {
  const Json json = parse_json(
      R"({"layers": 1.5, "seq": -3, "dtype": "fp61", "hiden": 4, "F": [1, "x"], "flag": 1})",
      "m.json");
  Problems problems;
  const JsonSource source{"m.json", {{"model.seq", "--set model.seq"}}, &problems};
  JsonFields fields(json, source, "model");
  fields.integer("layers", 1, 1000);
  fields.integer("seq", 1, 1000);
  fields.integer("heads", 1, 1000);
  fields.one_of("dtype", {"fp16", "bf16"});
  fields.numbers("F", 2, 0, 1e9);
  fields.boolean("flag", false);
  fields.integer("hidden", 1, 10, 4);
  fields.finish();
  const std::vector<std::string> expected{
      "m.json: model.layers: expected a whole number from 1 to 1000, got 1.5",
      "--set model.seq: expected a whole number from 1 to 1000, got -3",
      "m.json: model: missing field 'heads'",
      "m.json: model.dtype: expected one of fp16, bf16, got 'fp61' (did you mean 'fp16'?)",
      "m.json: model.F: entry 1: expected a number from 0 to 1000000000, got \"x\"",
      "m.json: model.flag: expected true or false, got 1",
      "m.json: model: unknown field 'hiden' (did you mean 'hidden'?); known: F, dtype, flag, "
      "heads, hidden, layers, seq",
  };
  CHECK(problems.lines() == expected);
}

TEST_CASE("a list must have as many entries as stages, a number stands for all", "[base]") {
  const Json json = parse_json(R"({"a": [1, 2, 3], "b": 5, "c": "x"})", "m.json");
  Problems problems;
  const JsonSource source{"m.json", {}, &problems};
  JsonFields fields(json, source, "t");
  CHECK(fields.numbers("a", 3, 0, 10) == std::vector<double>{1, 2, 3});
  CHECK(fields.numbers("b", 3, 0, 10) == std::vector<double>{5, 5, 5});
  fields.numbers("a", 4, 0, 10);
  fields.numbers("c", 2, 0, 10);
  CHECK(problems.lines() ==
        std::vector<std::string>{
            "m.json: t.a: expected 4 entries (one per stage) or one for all, got 3",
            "m.json: t.c: expected a number from 0 to 10, or a list of 2 of them, got \"x\""});
}

TEST_CASE("times are rounded to the nearest nanosecond", "[base]") {
  CHECK(rounded_nanos(0.4) == Nanos(0));
  CHECK(rounded_nanos(1.5) == Nanos(2));
  CHECK_THROWS_AS(rounded_nanos(-1), InternalError);
  CHECK_THROWS_AS(rounded_nanos(1e30), InternalError);
}

TEST_CASE("JSON nested beyond reason is refused before anything recurses into it",
          "[base][errors]") {
  // Appended, because g++ 12 warns of out-of-bounds copies in "x" + string.
  const std::string deep =
      std::string("{\"a\": ").append(1'000'000, '[').append(1'000'000, ']').append("}");
  CHECK_THROWS_WITH(parse_json(deep, "x.json"), "x.json: nested more than 100 levels deep");
  CHECK_THROWS_WITH(parse_json(" \n", "x.json"),
                    "x.json: the file is empty, expected a JSON object");
}
