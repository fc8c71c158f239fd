#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "hwmodels/megatron_args.hpp"
#include "hwmodels/megatron_arguments.hpp"
#include "hwmodels/pipeline_layout.hpp"

namespace stagesim {
namespace {

template <typename... Args>
void note(MegatronLaunch& launch, fmt::format_string<Args...> text, Args&&... args) {
  launch.file.notes.push_back(fmt::format(text, std::forward<Args>(args)...));
}

int required(MegatronArguments& args, const std::string& name) {
  if (!args.has(name)) args.missing(name);
  return args.integer(name).value_or(0);
}

void read_vocabulary(MegatronArguments& args, MegatronLaunch& launch) {
  Model& m = launch.file.model;
  std::int64_t vocab = args.integer("vocab-size").value_or(0);
  const std::string tokenizer = args.text("tokenizer-type").value_or("");
  // The tokenizers whose size is fixed, by their published vocabulary files.
  if (vocab == 0 && !args.has("vocab-size")) {
    if (tokenizer == "GPT2BPETokenizer") vocab = 50257;
    if (tokenizer == "BertWordPieceLowerCase") vocab = 30522;
    if (tokenizer == "BertWordPieceCase") vocab = 28996;
    if (vocab > 0) note(launch, "vocabulary: {} tokens of {}", vocab, tokenizer);
  }
  if (vocab == 0) return;
  const std::int64_t multiple =
      std::int64_t{args.integer("make-vocab-size-divisible-by", 1, 1'000'000).value_or(128)} *
      args.integer("tensor-model-parallel-size", 1, 1024).value_or(1);
  const std::int64_t padded = (vocab + multiple - 1) / multiple * multiple;
  m.vocab = static_cast<int>(std::min<std::int64_t>(padded, 1'000'000'000));
  if (m.vocab != vocab)
    note(launch, "vocabulary: {} padded to {}, a multiple of {}", vocab, m.vocab, multiple);
}

void read_positions(MegatronArguments& args, MegatronLaunch& launch) {
  Model& m = launch.file.model;
  const std::string kind = args.text("position-embedding-type").value_or("learned_absolute");
  const bool rotary = args.on("use-rotary-position-embeddings");
  const bool none = args.on("no-position-embedding");
  launch.file.longest = args.integer("max-position-embeddings").value_or(0);
  m.positions = launch.file.longest;
  if (rotary || none || kind == "rope" || kind == "none" || kind == "mrope" || kind == "yarn") {
    m.positions = 0;
  } else if (kind != "learned_absolute") {
    note(launch, "{}: counted as no position table", args.said("position-embedding-type"));
    m.positions = 0;
  } else if (!args.has("max-position-embeddings")) {
    args.missing("max-position-embeddings");
  }
}

void read_experts(MegatronArguments& args, MegatronLaunch& launch) {
  Model& m = launch.file.model;
  m.experts = args.integer("num-experts", 1, 4096).value_or(0);
  if (m.experts == 0) return;
  m.experts_per_token = args.integer("moe-router-topk", 1, m.experts).value_or(2);
  m.expert_ffn = args.integer("moe-ffn-hidden-size", 1, 10'000'000).value_or(0);
  if (const auto shared = args.integer("moe-shared-expert-intermediate-size", 1, 10'000'000)) {
    m.shared_experts = *shared / m.expert_width();
    if (*shared % m.expert_width() != 0) {
      args.problem(fmt::format("{}: expected a multiple of an expert's width {}",
                               args.said("moe-shared-expert-intermediate-size"), m.expert_width()));
    }
  }
  const std::string pattern = args.text("moe-layer-freq").value_or("1");
  if (pattern == "1") return;
  // "([0]*3+[1]*58)": the first 3 layers are dense.
  int dense = 0;
  const std::size_t star = pattern.find("[0]*"), plus = pattern.find("+[1]*");
  const bool shaped = star <= 1 && plus != pattern.npos && plus > star + 4;
  const char* end = pattern.data() + (shaped ? plus : 0);
  const auto [stop, error] = std::from_chars(pattern.data() + (shaped ? star + 4 : 0), end, dense);
  if (!shaped || error != std::errc() || stop != end || dense < 1) {
    args.problem(fmt::format("{}: expected 1, or dense layers first, \"([0]*3+[1]*58)\"",
                             args.said("moe-layer-freq")));
    return;
  }
  m.dense_layers = dense;
}

void read_attention(MegatronArguments& args, MegatronLaunch& launch) {
  Model& m = launch.file.model;
  if (args.on("multi-latent-attention")) {
    m.kv_lora_rank = required(args, "kv-lora-rank");
    m.q_lora_rank = args.integer("q-lora-rank").value_or(0);
    m.qk_nope_head_dim = args.integer("qk-head-dim").value_or(128);
    m.qk_rope_head_dim = args.integer("qk-pos-emb-head-dim").value_or(64);
    m.v_head_dim = args.integer("v-head-dim").value_or(128);
  } else {
    const int groups = args.integer("num-query-groups").value_or(1);
    if (args.on("group-query-attention")) m.kv_heads = groups;
    m.head_dim = args.integer("kv-channels").value_or(0);
    if (m.head_dim * std::int64_t{m.heads} == m.hidden) m.head_dim = 0;
    m.qk_norm = args.on("qk-layernorm");
  }
  const std::string backend = args.text("attention-backend").value_or("");
  const std::string implementation = args.text("transformer-impl").value_or("");
  const bool flash = args.on("use-flash-attn");
  m.flash = flash || backend == "flash" || backend == "fused" || backend == "auto" ||
            (implementation == "transformer_engine" && backend.empty());
  if (!m.flash) {
    note(launch,
         "attention: unfused, without --use-flash-attn, --attention-backend or "
         "--transformer-impl transformer_engine (model.flash)");
  }
}

void read_recompute(MegatronArguments& args, MegatronLaunch& launch, int layers_per_stage) {
  Model& m = launch.file.model;
  const std::string granularity = args.text("recompute-granularity").value_or("");
  if (args.on("recompute-activations") || granularity == "selective")
    m.recompute = Recompute::kSelective;
  if (args.on("checkpoint-activations") || granularity == "full") m.recompute = Recompute::kFull;
  if (args.has("recompute-modules") && m.recompute == Recompute::kSelective &&
      args.all().at("recompute-modules") != std::vector<std::string>{"core_attn"}) {
    args.problem("--recompute-modules: expected core_attn alone; others are not modelled");
  }
  if (m.recompute != Recompute::kFull) return;
  const std::string method = args.text("recompute-method").value_or("uniform");
  const int each = args.integer("recompute-num-layers").value_or(1);
  if (method == "block" && each < layers_per_stage) {
    args.problem(
        fmt::format("--recompute-method block: {} of {} layers of a stage are computed again; "
                    "only all of them (uniform), selective or none are modelled",
                    each, layers_per_stage));
  } else if (method == "uniform" && each > 1) {
    note(launch, "--recompute-num-layers {}: a checkpoint at every layer is taken", each);
  }
}

void add_default(MegatronLaunch& launch, const MegatronArguments& args, const std::string& path,
                 Json value, const std::string& flag) {
  launch.defaults.push_back({path, std::move(value), args.said(flag)});
}

// Virtual stages of a layout string, which becomes the partition; the scenario checks the layers.
int read_layout(MegatronArguments& args, MegatronLaunch& launch, int pipeline) {
  const char* flag = "pipeline-model-parallel-layout";
  const std::string layout = args.text(flag).value_or("");
  try {
    const auto stages = static_cast<int>(read_pipeline_layout(layout).size());
    if (stages % pipeline == 0) {
      add_default(launch, args, "partition.layers", layout, flag);
      return stages / pipeline;
    }
    args.problem(fmt::format("{}: {} stages do not divide by {} pipeline ranks", args.said(flag),
                             stages, pipeline));
  } catch (const InputError& error) {
    args.problem(fmt::format("--{}: {}", flag, error.what()));
  }
  return 1;
}

// Layers of each stage where the first and last have their own number.
void read_uneven(MegatronArguments& args, MegatronLaunch& launch, int stages, bool virtual_stages) {
  const auto first = args.integer("decoder-first-pipeline-num-layers", 0);
  const auto last = args.integer("decoder-last-pipeline-num-layers", 0);
  if (!first && !last) return;
  const int others = stages - (first ? 1 : 0) - (last ? 1 : 0);
  const int rest = launch.file.model.layers - first.value_or(0) - last.value_or(0);
  if (virtual_stages) {
    args.problem("--decoder-first/last-pipeline-num-layers with virtual stages is not modelled");
  } else if (others < 1 || rest < 0 || rest % others != 0) {
    args.problem(
        fmt::format("--decoder-first/last-pipeline-num-layers: {} layers do not divide by "
                    "the {} other stages",
                    rest, others));
  } else {
    std::vector<int> layers(static_cast<std::size_t>(stages), rest / others);
    if (first) layers.front() = *first;
    if (last) layers.back() = *last;
    add_default(launch, args, "partition.layers", layers,
                first ? "decoder-first-pipeline-num-layers" : "decoder-last-pipeline-num-layers");
  }
}

}  // namespace

void read_megatron_model(MegatronArguments& args, MegatronLaunch& launch) {
  Model& m = launch.file.model;
  m.causal = !m.encoder;
  const bool old_name = !args.has("num-layers") && args.has("encoder-num-layers");
  m.layers = required(args, old_name ? "encoder-num-layers" : "num-layers");
  m.hidden = required(args, "hidden-size");
  m.heads = required(args, "num-attention-heads");
  m.seq = required(args, args.has("encoder-seq-length") ? "encoder-seq-length" : "seq-length");
  m.gated = args.on("swiglu");
  m.ffn = args.integer("ffn-hidden-size").value_or(0);
  // Megatron-LM keeps the number of weights of a plain MLP, in multiples of 64.
  if (m.ffn == 0 && m.gated)
    m.ffn = static_cast<int>(std::max<std::int64_t>(64, std::int64_t{m.hidden} * 8 / 3 / 64 * 64));
  read_vocabulary(args, launch);
  read_positions(args, launch);
  m.tied = !args.on("untie-embeddings-and-output-weights");
  m.biases = !args.on("disable-bias-linear");
  m.qkv_bias = args.on("add-qkv-bias") && !*m.biases;
  m.rms_norm = args.text("normalization").value_or("LayerNorm") == "RMSNorm";
  const double attention = args.number("attention-dropout").value_or(0.1);
  const double hidden = args.number("hidden-dropout").value_or(0.1);
  m.dropout = attention > 0 || hidden > 0;
  if (m.dropout && (attention == 0 || hidden == 0))
    note(launch, "dropout: counted on attention and residual branches, although one of them is 0");
  const bool half = args.on("fp16"), brain = args.on("bf16");
  m.dtype = half ? "fp16" : "bf16";
  if (half == brain)
    args.problem("expected one of --fp16 and --bf16; training in fp32 is not modelled");
  read_attention(args, launch);
  read_experts(args, launch);
}

void read_megatron_parallel(MegatronArguments& args, MegatronLaunch& launch) {
  const int layers = launch.file.model.layers;
  const int pipeline = args.integer("pipeline-model-parallel-size", 1, 16384).value_or(1);
  read_recompute(args, launch, std::max(1, layers / pipeline));
  add_default(launch, args, "parallel.pipeline", pipeline, "pipeline-model-parallel-size");
  if (const auto tensor = args.integer("tensor-model-parallel-size", 1, 1024))
    add_default(launch, args, "parallel.tensor", *tensor, "tensor-model-parallel-size");
  if (args.on("sequence-parallel"))
    add_default(launch, args, "parallel.sequence_parallel", true, "sequence-parallel");
  if (const auto context = args.integer("context-parallel-size", 1, 1024))
    add_default(launch, args, "parallel.context", *context, "context-parallel-size");
  if (const auto expert = args.integer("expert-model-parallel-size", 1, 1024))
    add_default(launch, args, "parallel.expert", *expert, "expert-model-parallel-size");
  const char* expert_tensor = "expert-tensor-parallel-size";
  const int tensor = args.integer("tensor-model-parallel-size", 1, 1024).value_or(1);
  if (args.integer(expert_tensor, 1, 1024).value_or(tensor) != tensor) {
    args.problem(
        fmt::format("{}: expected {}, the tensor split of everything else; another one for "
                    "experts is not modelled",
                    args.said(expert_tensor), tensor));
  }
  if (args.on("use-distributed-optimizer"))
    add_default(launch, args, "parallel.zero", 1, "use-distributed-optimizer");
  const char* apart = "no-async-tensor-model-parallel-allreduce";
  if (args.on(apart)) add_default(launch, args, "parallel.tensor_overlap", false, apart);
  int virtual_stages = 1;
  const char* by_layers = "num-layers-per-virtual-pipeline-stage";
  const char* by_stages = "num-virtual-stages-per-pipeline-rank";
  if (const auto each = args.integer(by_layers)) {
    virtual_stages = std::max(1, layers / pipeline / *each);
    if (layers > 0 && std::int64_t{virtual_stages} * pipeline * *each != layers) {
      args.problem(
          fmt::format("{}: {} layers are not {} pipeline ranks x whole virtual stages of {}",
                      args.said(by_layers), layers, pipeline, *each));
    }
  } else if (const auto stages = args.integer(by_stages)) {
    virtual_stages = *stages;
  }
  const char* from = args.has(by_layers) ? by_layers : by_stages;
  if (args.has("pipeline-model-parallel-layout")) {
    from = "pipeline-model-parallel-layout";
    virtual_stages = read_layout(args, launch, pipeline);
  }
  if (virtual_stages > 1) add_default(launch, args, "parallel.virtual", virtual_stages, from);
  if (virtual_stages > 1) {
    add_default(launch, args, "schedule", "interleaved-1f1b", from);
  } else {
    add_default(launch, args, "schedule", "1f1b", "pipeline-model-parallel-size");
    if (pipeline > 1)
      note(launch, "Megatron-LM's 1F1B waits for its sends: comm.mode \"blocking\" models that");
  }
  read_uneven(args, launch, pipeline, virtual_stages > 1);
  if (!args.has("micro-batch-size")) args.missing("micro-batch-size");
  if (const auto micro = args.integer("micro-batch-size"))
    add_default(launch, args, "batch.micro", *micro, "micro-batch-size");
  if (const auto global = args.integer("global-batch-size"))
    add_default(launch, args, "batch.global", *global, "global-batch-size");
  if (const auto nodes = args.integer("nnodes", 1, 65536))
    add_default(launch, args, "cluster.nodes", *nodes, "nnodes");
  if (const auto gpus = args.integer("nproc-per-node", 1, 1024))
    add_default(launch, args, "cluster.gpus_per_node", *gpus, "nproc-per-node");
}

}  // namespace stagesim
