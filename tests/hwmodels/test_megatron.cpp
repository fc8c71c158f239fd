// Launch scripts, against what Megatron-LM's arguments.py would make of them, by hand.

#include "hwmodels/arithmetic.hpp"
#include "hwmodels/megatron_args.hpp"
#include "hwmodels/shell_words.hpp"
#include "tests/support/catch.hpp"

namespace stagesim {
namespace {

MegatronLaunch read(const std::string& text) { return read_megatron_args(text, "train.sh"); }

Json said(const MegatronLaunch& launch, const std::string& path) {
  for (const ScenarioDefault& one : launch.defaults) {
    if (one.path == path) return one.value;
  }
  return {};
}

// In the form of Megatron-LM's examples/gpt3/train_gpt3_175b_distributed.sh.
const char* const kScript = R"sh(#!/bin/bash
# Runs the "345M" parameter model
export CUDA_DEVICE_MAX_CONNECTIONS=1
GPUS_PER_NODE=8
NNODES=${NNODES:-2}
WORLD_SIZE=$(($GPUS_PER_NODE*$NNODES))
CHECKPOINT_PATH=$1 #<path>

DISTRIBUTED_ARGS="
    --nproc_per_node $GPUS_PER_NODE \
    --nnodes $NNODES \
    --master_addr $MASTER_ADDR
"
GPT_MODEL_ARGS=(
    --num-layers 24   # the depth
    --hidden-size 1024
    --num-attention-heads 16
    --seq-length 2048
    --max-position-embeddings 2048
)
TRAINING_ARGS=(
    --micro-batch-size 2
    --global-batch-size $((WORLD_SIZE * 4))
    --lr 6.0e-5 --min-lr 6.0e-6
    --weight-decay 0.1
    --bf16
)
TRAINING_ARGS+=(--recompute-activations)

torchrun ${DISTRIBUTED_ARGS} pretrain_gpt.py \
    "${GPT_MODEL_ARGS[@]}" ${TRAINING_ARGS[@]} \
    --pipeline-model-parallel-size 4 --num-layers-per-virtual-pipeline-stage 3 \
    --tokenizer-type GPT2BPETokenizer --save $CHECKPOINT_PATH \
    --use-distributed-optimizer --use-flash-attn > log.txt 2>&1
)sh";

TEST_CASE("a launch script gives the model, the batch, the pipeline and the cluster",
          "[hwmodels][megatron]") {
  const MegatronLaunch launch = read(kScript);
  const Model& m = launch.file.model;
  CHECK(m.layers == 24);
  CHECK(m.hidden == 1024);
  CHECK(m.seq == 2048);
  CHECK(m.vocab == 50304);  // 393 x 128
  CHECK(m.recompute == Recompute::kSelective);
  CHECK(m.flash);
  CHECK(m.tied);
  CHECK(m.dropout);
  // 24 (12 h^2 + 13 h) + (50304 + 2048) h + 2 h.
  CHECK(total_parameters(m) == 24LL * (12 * 1024 * 1024 + 13 * 1024) + 52352LL * 1024 + 2048);
  CHECK(said(launch, "parallel.pipeline") == 4);
  CHECK(said(launch, "parallel.virtual") == 2);  // 24 / 4 / 3
  CHECK(said(launch, "parallel.tensor").is_null());
  CHECK(said(launch, "parallel.zero") == 1);
  CHECK(said(launch, "schedule") == "interleaved-1f1b");
  CHECK(said(launch, "batch.micro") == 2);
  CHECK(said(launch, "batch.global") == 64);  // 8 x 2 x 4
  CHECK(said(launch, "cluster.nodes") == 2);
  CHECK(said(launch, "cluster.gpus_per_node") == 8);
  CHECK(launch.file.notes ==
        std::vector<std::string>{"5 flags about data, logging, checkpoints or learning: no effect",
                                 "vocabulary: 50257 tokens of GPT2BPETokenizer",
                                 "vocabulary: 50257 padded to 50304, a multiple of 128"});
}

TEST_CASE("a Llama-3-8B launch has that model's parameters", "[hwmodels][megatron]") {
  const MegatronLaunch launch = read(
      "--num-layers 32 --hidden-size 4096 --ffn-hidden-size 14336 --num-attention-heads 32 "
      "--group-query-attention --num-query-groups 8 --seq-length 8192 --swiglu "
      "--normalization RMSNorm --position-embedding-type rope --disable-bias-linear "
      "--untie-embeddings-and-output-weights --attention-dropout 0.0 --hidden-dropout 0.0 "
      "--vocab-size 128256 --micro-batch-size 1 --bf16 --transformer-impl transformer_engine "
      "--pipeline-model-parallel-size 4 --decoder-first-pipeline-num-layers 7 "
      "--decoder-last-pipeline-num-layers 5 --tensor-model-parallel-size 1");
  CHECK(total_parameters(launch.file.model) == 8030261248);
  CHECK_FALSE(launch.file.model.dropout);
  CHECK(said(launch, "partition.layers") == Json({7, 10, 10, 5}));
  CHECK(said(launch, "schedule") == "1f1b");
}

TEST_CASE("a DeepSeek-V3 launch has that model's parameters", "[hwmodels][megatron]") {
  const std::string shape =
      "--num-layers 61 --hidden-size 7168 --ffn-hidden-size 18432 --num-attention-heads 128 "
      "--seq-length 4096 --swiglu --normalization RMSNorm --position-embedding-type rope "
      "--disable-bias-linear --untie-embeddings-and-output-weights --attention-dropout 0 "
      "--hidden-dropout 0 --vocab-size 129280 --micro-batch-size 1 --bf16 --use-flash-attn "
      "--multi-latent-attention --q-lora-rank 1536 --kv-lora-rank 512 --qk-layernorm "
      "--num-experts 256 --moe-router-topk 8 --moe-ffn-hidden-size 2048 "
      "--moe-shared-expert-intermediate-size 2048 --moe-layer-freq '([0]*3+[1]*58)' ";
  CHECK(total_parameters(read(shape).file.model) == 671026404352);
  CHECK_THROWS_WITH(read(shape + "--expert-tensor-parallel-size 2 --mtp-num-layers 1"),
                    "train.sh: --mtp-num-layers 1: multi-token prediction is not modelled\n"
                    "train.sh: --expert-tensor-parallel-size 2: expected 1, the tensor split of "
                    "everything else; another one for experts is not modelled");
  const MegatronLaunch launch =
      read(shape + "--expert-model-parallel-size 8 --context-parallel-size 2");
  CHECK(said(launch, "parallel.expert") == 8);
  CHECK(said(launch, "parallel.context") == 2);
}

TEST_CASE("SwiGLU without a width has 8/3 h in multiples of 64", "[hwmodels][megatron]") {
  const MegatronLaunch launch = read(
      "--num-layers 2 --hidden-size 4096 --num-attention-heads 32 --seq-length 128 --swiglu "
      "--max-position-embeddings 128 --vocab-size 100 --micro-batch-size 1 --fp16");
  CHECK(launch.file.model.ffn == 10880);  // int(4 x 4096 x 2 / 3 / 64) x 64
}

TEST_CASE("variables that nobody set are named where they matter", "[hwmodels][megatron][errors]") {
  CHECK_THROWS_WITH(
      read("python pretrain_gpt.py --num-layers $LAYERS --hidden-size ${HIDDEN} --seq-length "
           "$(cat seq.txt) --num-attention-heads 8 --micro-batch-size 1 --bf16 --save $WHERE "
           "--max-position-embeddings 8 $EXTRA_ARGS"),
      "train.sh: --hidden-size: $HIDDEN is not set in the script; set it there, or give the "
      "arguments as a line\n"
      "train.sh: --max-position-embeddings: $EXTRA_ARGS is not set in the script; set it there, or "
      "give the arguments as a line\n"
      "train.sh: --num-layers: $LAYERS is not set in the script; set it there, or give the "
      "arguments as a line\n"
      "train.sh: --seq-length: $(cat seq.txt) is not set in the script; set it there, or give the "
      "arguments as a line");
}

TEST_CASE("all that is wrong with a launch comes at once", "[hwmodels][megatron][errors]") {
  CHECK_THROWS_WITH(
      read("--num-layers 10 --num-attention-heads many --seq-length 64 --swiglu yes "
           "--micro-batch-size 1 --pipeline-model-parallel-size 4 "
           "--num-layers-per-virtual-pipeline-stage 2 --fp16 --bf16 --fp8-format hybrid"),
      "train.sh: --fp8-format hybrid: 8-bit arithmetic is not modelled; leave it out for a 16-bit "
      "run\n"
      "train.sh: --hidden-size: missing\n"
      "train.sh: --num-attention-heads: expected a whole number from 1 to 1000000000, got many\n"
      "train.sh: --swiglu: takes no value, got yes\n"
      "train.sh: --max-position-embeddings: missing\n"
      "train.sh: expected one of --fp16 and --bf16; training in fp32 is not modelled\n"
      "train.sh: --num-layers-per-virtual-pipeline-stage 2: 10 layers are not 4 pipeline ranks x "
      "whole virtual stages of 2");
  CHECK_THROWS_WITH(read("echo hello"), contains("no command with --num-layers"));
  CHECK_THROWS_WITH(read("a --num-layers 2\nb --num-layers 3\n"),
                    "train.sh: 2 commands launch a training, on lines 1, 2; keep one");
}

TEST_CASE("flags that nobody knows are named with the nearest", "[hwmodels][megatron]") {
  const MegatronLaunch launch = read(
      "--num-layers 2 --hidden-size 64 --num-attention-heads 4 --seq-length 128 --bf16 "
      "--position-embedding-type rope --micro-batch-size 1 --use-flash-attn --globl-batch-size 4");
  CHECK(launch.file.notes.front() ==
        "flags not known here, ignored: --globl-batch-size (did you mean --global-batch-size?)");
  CHECK(launch.file.model.vocab == 0);  // only the tokenizer knows
}

std::vector<std::string> words(const std::string& text) {
  std::vector<std::string> all;
  for (const ShellCommand& command : read_shell(text, "s.sh").commands)
    all.insert(all.end(), command.words.begin(), command.words.end());
  return all;
}
using Words = std::vector<std::string>;

// What bash prints for `printf '%s\n'` of the same words.
TEST_CASE("words are what a shell makes of them", "[hwmodels][shell]") {
  CHECK(words("a  b\\\n c # d\n'e f' \"g h\"i j\\ k") ==
        Words{"a", "b", "c", "e f", "g hi", "j k"});
  CHECK(words("A=1 B=\"2 3\"; x $A $B \"$B\" ${B}4") ==
        Words{"x", "1", "2", "3", "2 3", "2", "34"});
  CHECK(words("A=(1 '2 3'); A+=(4)\nx ${A[@]} \"${A[@]}\"") ==
        Words{"x", "1", "2", "3", "4", "1", "2 3", "4"});
  CHECK(words("A=; x ${A:-7} ${A-8} ${B:-$((3 * (1 + 2) % 5))}") == Words{"x", "7", "4"});
  CHECK(words("N=4\nx $((N*2)) $(( $N / 3 - 1 ))") == Words{"x", "8", "0"});
  CHECK(words("A=1\nA=${A}2; export A; x $A") == Words{"export", "A", "x", "12"});
  CHECK(words("x '$A' \"\\$A\" a#b") == Words{"x", "$A", "$A", "a#b"});
  CHECK(words("x 1 2>&1 >> log y 2 > /dev/null | z") == Words{"x", "1", "y", "2", "z"});
  CHECK(unresolved_in(words("A=$(cat a b)/c; x $A").back()) == Words{"$(cat a b)"});
}

TEST_CASE("a script that never ends or grows without bound is refused with its line",
          "[hwmodels][shell][errors]") {
  CHECK_THROWS_WITH(words("a\nb \"c"), "s.sh:2: a \" is never closed");
  CHECK_THROWS_WITH(words("a ${b"), "s.sh:1: a '{' is never closed");
  CHECK_THROWS_WITH(words("A=(1\n2"), "s.sh:2: an array's ( is never closed");
  std::string doubling = "A=aaaaaaaa\n";
  for (int i = 0; i < 40; ++i) doubling += "A=$A$A\n";
  CHECK_THROWS_WITH(words(doubling), contains("expand to more than a million characters"));
}

TEST_CASE("variables set on a condition are named", "[hwmodels][shell]") {
  const ShellScript script = read_shell("if [ $1 ]; then A=1; B=2; else A=2; fi\nx $A", "s.sh");
  CHECK(script.conditional == Words{"A"});
  CHECK(script.commands.back().words == Words{"x", "2"});
}

}  // namespace
}  // namespace stagesim
