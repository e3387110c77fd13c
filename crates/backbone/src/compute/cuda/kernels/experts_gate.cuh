// The experts' clamped gate: with g = min(gate, limit) and u = up clamped to
// [-limit, limit],
//     a = (u + 1) g sigmoid(alpha g).
// A clamped value has no gradient; at the limit itself it still has one. NaNs
// stay NaNs.

struct Gate {
    float alpha, limit;

    // The fast exponential and division: their errors of a few units in the
    // last place of a float vanish in the rounding to bf16.
    __device__ __forceinline__ float sigmoid(float g) const {
        return __fdividef(1.0f, 1.0f + __expf(-alpha * g));
    }
    __device__ __forceinline__ float clamp_gate(float gate) const {
        return gate > limit ? limit : gate;
    }
    __device__ __forceinline__ float clamp_up(float up) const {
        return up > limit ? limit : up < -limit ? -limit : up;
    }
    __device__ __forceinline__ float value(float gate, float up) const {
        const float g = clamp_gate(gate);
        return (clamp_up(up) + 1.0f) * g * sigmoid(g);
    }

    // Replaces gate and up by their gradients times `d`, that of the value;
    // the value itself.
    __device__ __forceinline__ float differentiate(float& gate, float& up, float d) const {
        const float g = clamp_gate(gate), u = clamp_up(up), s = sigmoid(g);
        const float d_gate = d * (u + 1.0f) * s * (1.0f + alpha * g * (1.0f - s));
        const float d_up = d * g * s;
        gate = gate > limit ? 0.0f : d_gate;
        up = up > limit || up < -limit ? 0.0f : d_up;
        return (u + 1.0f) * g * s;
    }
};
