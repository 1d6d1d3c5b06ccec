// A training step as data: named tensors, networks, hyper-parameters and an ordered list of operations, checked as they are added.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "core/replay.h"
#include "unifiedrl.h"

namespace unifiedrl {

struct Tensor {
  std::string name;
  int32_t kind;
  int64_t members, rows, columns;
  int32_t producer = -1;  // index of the op that writes it
  int64_t elements() const { return members * rows * columns; }
};

// One dense layer of every member: weight [E, in, out] and bias [E, out], at these offsets in the network's flat section.
struct Layer {
  int64_t in, out;
  int64_t weight, bias;
};

struct Network {
  std::string name;
  int64_t members;
  std::vector<Layer> layers;
  int32_t activation;
  bool trained = false;   // an optimiser updates it: it has gradients and moments
  int64_t size = 0;       // elements of one section, all members
  int64_t inputs() const { return layers.front().in; }
  int64_t outputs() const { return layers.back().out; }
  int64_t hidden() const {  // sum of hidden sizes: columns of a tape
    int64_t sum = 0;
    for (size_t l = 0; l + 1 < layers.size(); ++l) {
      sum += layers[l].out;
    }
    return sum;
  }
  int64_t member_size() const { return size / members; }
};

struct Hyper {
  std::string name;
  double value;
};

struct Op {
  std::string name;
  int32_t code;
  std::vector<int32_t> t, n, h;
  std::vector<int64_t> i;
};

class Program {
 public:
  int32_t add_tensor(const std::string& name, int32_t kind, int64_t members, int64_t rows, int64_t columns);
  int32_t add_network(const std::string& name, int64_t members, const std::vector<int64_t>& sizes, int32_t activation);
  int32_t add_hyper(const std::string& name, double value);
  void add_op(Op op);
  // Whether `value` is in the range that every op using the slot allows, the other slots at `values`.
  void check_hyper(int32_t id, double value, const std::vector<double>& values) const;
  // Whether the replay (may be null) has the columns that the ops read.
  void check_replay(const Replay* replay) const;

  std::vector<Tensor> tensors;
  std::vector<Network> networks;
  std::vector<Hyper> hypers;
  std::vector<Op> ops;
  int32_t metric_slots = 0;
};

// Name of an op code, "?" if unknown.
const char* op_name(int32_t code);

// Whether an op writes the gradient section of its first network afresh.
bool forms_gradients(const Op& op);

// Tensors an op reads and writes, in no particular order; "none" entries are left out.
std::vector<int32_t> op_inputs(const Op& op);
std::vector<int32_t> op_outputs(const Op& op);

}  // namespace unifiedrl
