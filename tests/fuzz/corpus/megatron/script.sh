#!/bin/bash
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
