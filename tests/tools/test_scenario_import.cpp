// Scenarios whose model, and more, comes from files of other projects.

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "tests/support/catch.hpp"
#include "tests/tools/scenario_text.hpp"

using namespace stagesim;
using namespace stagesim::test;

namespace {

// A folder of its own, because tests run side by side.
struct Folder {
  explicit Folder(const std::string& name)
      : path(std::filesystem::temp_directory_path() / ("stagesim_import_" + name)) {
    std::filesystem::create_directories(path);
  }
  ~Folder() { std::filesystem::remove_all(path); }
  void write(const std::string& file, const std::string& text) const {
    std::ofstream(path / file) << text;
  }
  Scenario scenario(const std::string& text, const Origins& origins = {}) const {
    return read_scenario(parse_json(text, "s.json"), (path / "s.json").string(), origins);
  }
  std::filesystem::path path;
};

const char* const kLlama = R"({"model_type": "llama", "hidden_size": 4096,
    "intermediate_size": 14336, "max_position_embeddings": 8192, "num_attention_heads": 32,
    "num_hidden_layers": 32, "num_key_value_heads": 8, "vocab_size": 128256})";

std::string line_with(const Scenario& s, const std::string& part) {
  for (const std::string& line : s.assumptions) {
    if (line.find(part) != std::string::npos) return line;
  }
  return "";
}

}  // namespace

TEST_CASE("model.hf_config is read from beside the scenario and costs what the preset does",
          "[scenario][import]") {
  const Folder folder("hf");
  folder.write("config.json", kLlama);
  const std::string rest = R"(, "parallel": {"pipeline": 4}, "batch": {"microbatches": 8},
      "cluster": {"gpu": "a800-sxm-80gb", "p2p": {"gb_per_s": 100}}})";
  const Scenario from_file =
      folder.scenario(R"({"model": {"hf_config": "config.json", "seq": 8192})" + rest);
  const Scenario preset = folder.scenario(R"({"model": {"preset": "llama-3-8b"})" + rest);
  CHECK(from_file.stages.parameters == preset.stages.parameters);
  CHECK(from_file.stages.costs[1].forward == preset.stages.costs[1].forward);
  CHECK(from_file.stages.bytes[1].activation == preset.stages.bytes[1].activation);
  CHECK(line_with(from_file, "config.json: flash: true") != "");
  CHECK_THROWS_WITH(
      folder.scenario(R"({"model": {"hf_config": "config.json"})" + rest),
      contains("s.json: model.seq: missing: ") &&
          contains("does not say how long the training sequences are (its 8192 positions are the "
                   "longest input); give their tokens"));
}

TEST_CASE("model.megatron_args fills in what the scenario leaves open, and says so",
          "[scenario][import]") {
  const Folder folder("megatron");
  folder.write("train.sh", R"sh(
GPUS=4
torchrun --nproc_per_node=$GPUS pretrain_gpt.py --num-layers 8 --hidden-size 512 \
  --num-attention-heads 8 --seq-length 256 --max-position-embeddings 256 --vocab-size 1000 \
  --micro-batch-size 2 --global-batch-size 32 --pipeline-model-parallel-size 2 --bf16 \
  --use-flash-attn
)sh");
  const std::string cluster = R"("cluster": {"gpu": "a800-sxm-80gb", "p2p": {}})";
  const Scenario s =
      folder.scenario(R"({"model": {"megatron_args": "train.sh"}, )" + cluster + "}");
  CHECK(s.ranks == 2);
  CHECK(s.data == 2);  // 4 GPUs / 2 pipeline ranks
  CHECK(s.micro == 2);
  CHECK(s.batch == 8);  // 32 / (2 x 2)
  CHECK(s.schedule.name == "1f1b");
  CHECK(s.model->vocab == 1024);
  CHECK(line_with(s, "batch.global 32 (--global-batch-size 32)") != "");
  CHECK(s.json["batch"]["global"] == 32);  // the result repeats a scenario that stands alone

  const Scenario said = folder.scenario(R"({"model": {"megatron_args": "train.sh", "layers": 16},
      "parallel": {"pipeline": 4}, "batch": {"microbatches": 8}, "schedule": "gpipe", )" +
                                        cluster + "}");
  CHECK(said.ranks == 4);
  CHECK(said.model->layers == 16);
  CHECK(said.schedule.name == "gpipe");
  CHECK(line_with(said, "says otherwise than, or as, ") != "");
}

TEST_CASE("a layout of a launch gives the layers and the virtual stages",
          "[scenario][import][errors]") {
  const Folder folder("layout");
  const auto launch = [&](const std::string& layout) {
    return folder.scenario(
        R"({"model": {"megatron_args": "--num-layers 8 --hidden-size 512 --num-attention-heads 8 )"
        "--seq-length 256 --vocab-size 1000 --max-position-embeddings 256 --micro-batch-size 2 "
        "--global-batch-size 32 --bf16 --use-flash-attn --pipeline-model-parallel-size 2 "
        "--pipeline-model-parallel-layout '" +
        layout + R"('"}, "cluster": {"gpu": "a800-sxm-80gb", "p2p": {}}})");
  };
  const Scenario two = launch("Ettttt|tttL");
  CHECK(two.schedule.name == "1f1b");
  CHECK(two.source.layers == std::vector<int>{5, 3});
  const Scenario four = launch("Et|(t*3|)*2tL");
  CHECK(four.schedule.name == "interleaved-1f1b");
  CHECK(four.virtual_stages == 2);
  CHECK(four.source.layers == std::vector<int>{1, 3, 3, 1});
  CHECK_THROWS_WITH(launch("Ettt|tt|tttL"), contains("3 stages do not divide by 2 pipeline ranks"));
  CHECK_THROWS_WITH(launch("Ettt|ttL"), contains("5 != 8"));
}

TEST_CASE("tensor and sequence parallelism of a launch are taken, and refused by their flag",
          "[scenario][import][errors]") {
  const Folder folder("tensor");
  const auto launch = [&](const std::string& tensor, const std::string& heads) {
    return folder.scenario(
        R"({"model": {"megatron_args": "--num-layers 8 --hidden-size 512 --num-attention-heads )" +
        heads +
        " --seq-length 256 --vocab-size 1000 --max-position-embeddings 256 --micro-batch-size 2 "
        "--global-batch-size 32 --bf16 --use-flash-attn --sequence-parallel "
        "--tensor-model-parallel-size " +
        tensor +
        R"("}, "cluster": {"gpu": "a800-sxm-80gb", "gpus_per_node": 8, "intra": "nvlink3"}})");
  };
  const Scenario taken = launch("4", "8");
  CHECK(taken.split.tensor == 4);
  CHECK(taken.split.sequence_parallel);
  CHECK(taken.data == 2);
  CHECK(line_with(taken, "parallel.tensor 4 (--tensor-model-parallel-size 4)") != "");
  CHECK_THROWS_WITH(
      launch("8", "4"),
      contains("model.megatron_args: --tensor-model-parallel-size 8 "
               "(parallel.tensor): 8 GPUs cannot share 4 heads (model.heads) evenly"));
}

TEST_CASE("files that cannot be read are named with where they were asked for",
          "[scenario][import][errors]") {
  const Folder folder("missing");
  CHECK_THROWS_WITH(
      folder.scenario(R"({"model": {"hf_config": "no.json", "seq": 1}})"),
      contains("s.json: model.hf_config: there is no file '") && contains("no.json'"));
  CHECK_THROWS_WITH(folder.scenario(R"({"model": {"hf_config": ".", "seq": 1}})"),
                    contains("is no regular file"));
  CHECK_THROWS_WITH(folder.scenario(R"({"model": {"hf_config": 3}})"),
                    contains("s.json: model.hf_config: expected the path of a file, got 3"));
  CHECK_THROWS_WITH(
      folder.scenario(R"({"model": {"hf_config": "a", "preset": "gpt-1.5b"}})"),
      contains("give one of preset, hf_config and megatron_args, got preset, hf_config"));
}
