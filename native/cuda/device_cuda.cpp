#include "cuda/device.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <utility>

#include "unifiedrl.h"

namespace unifiedrl::cuda {

namespace {

// After one of these the context is of no more use.
bool device_is_lost(cudaError_t status) {
  switch (status) {
    case cudaErrorIllegalAddress:
    case cudaErrorIllegalInstruction:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorMisalignedAddress:
    case cudaErrorHardwareStackError:
    case cudaErrorLaunchFailure:
    case cudaErrorLaunchTimeout:
    case cudaErrorAssert:
    case cudaErrorTensorMemoryLeak:
    case cudaErrorECCUncorrectable:
    case cudaErrorContained:
    case cudaErrorNvlinkUncorrectable:
    case cudaErrorContextIsDestroyed:
    case cudaErrorMpsClientTerminated:
    case cudaErrorUnknown:
    case cudaErrorExternalDevice:
      return true;
    default:
      return false;
  }
}

bool cannot_work(cudaError_t status) {
  switch (status) {
    case cudaErrorNoDevice:
    case cudaErrorDevicesUnavailable:  // another process has it for itself
    case cudaErrorInsufficientDriver:
    case cudaErrorInitializationError:
    case cudaErrorSystemDriverMismatch:
    case cudaErrorSystemNotReady:
    case cudaErrorCompatNotSupportedOnDevice:
    case cudaErrorStubLibrary:
    case cudaErrorNoKernelImageForDevice:
    case cudaErrorInvalidKernelImage:
    case cudaErrorUnsupportedPtxVersion:
    case cudaErrorDeviceUninitialized:
      return true;
    default:
      return false;
  }
}

std::string version_text(int version) { return format("%d.%d", version / 1000, version % 1000 / 10); }

// Largest dynamic shared memory that each kernel was allowed, by kernel and device.
std::mutex shared_limits_mutex;
std::map<std::pair<const void*, int>, size_t> shared_limits;

void allow_shared_memory(const void* kernel, size_t bytes) {
  constexpr size_t kAlwaysAllowed = 48 << 10;
  if (bytes <= kAlwaysAllowed) {
    return;
  }
  int device = 0;
  check(cudaGetDevice(&device), "asking for the selected device");
  std::lock_guard<std::mutex> lock(shared_limits_mutex);
  size_t& allowed = shared_limits[{kernel, device}];
  if (allowed < bytes) {
    check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes)), "asking for a kernel's shared memory");
    allowed = bytes;
  }
}

cudaStream_t stream_of(const Stream& stream) { return static_cast<cudaStream_t>(stream.handle()); }
cudaEvent_t event_of(void* handle) { return static_cast<cudaEvent_t>(handle); }

}  // namespace

void check(cudaError_t status, const char* what) {
  if (status == cudaSuccess) {
    return;
  }
  cudaGetLastError();  // so that the next call does not report it once more
  const char *name = cudaGetErrorName(status), *text = cudaGetErrorString(status);
  if (status == cudaErrorMemoryAllocation) {
    throw Error(UNIFIEDRL_OUT_OF_MEMORY, format("%s: %s (%s)", what, text, name));
  }
  if (cannot_work(status)) {
    throw Error(UNIFIEDRL_UNAVAILABLE, format("%s: %s (%s)", what, text, name));
  }
  if (device_is_lost(status)) {
    throw Error(UNIFIEDRL_INTERNAL,
                format("device lost while %s: %s (%s); nothing on it works any more in this process: go on from the last checkpoint in a new one",
                       what, text, name));
  }
  throw Error(UNIFIEDRL_INTERNAL, format("%s: %s (%s)", what, text, name));
}

int device_count() {
  int count = 0;
  return cudaGetDeviceCount(&count) == cudaSuccess ? count : (cudaGetLastError(), 0);
}

std::string device_problem() {
  int count = 0, driver = 0;
  cudaError_t status = cudaGetDeviceCount(&count);
  if (status == cudaSuccess && count > 0) {
    return "";
  }
  cudaGetLastError();
  if (cudaDriverGetVersion(&driver) != cudaSuccess || driver == 0) {
    cudaGetLastError();
    return format("no NVIDIA driver was found (libcuda.so.1); one that has CUDA %s or later is needed", version_text(CUDART_VERSION).c_str());
  }
  if (status == cudaErrorInsufficientDriver) {
    return format("the NVIDIA driver has CUDA %s, and this library needs %s: install a newer driver", version_text(driver).c_str(),
                  version_text(CUDART_VERSION).c_str());
  }
  if (status == cudaErrorNoDevice || status == cudaSuccess) {
    return format("the NVIDIA driver (CUDA %s) shows no device; see nvidia-smi, and whether CUDA_VISIBLE_DEVICES hides it",
                  version_text(driver).c_str());
  }
  return format("the NVIDIA driver (CUDA %s) cannot be used: %s (%s)", version_text(driver).c_str(), cudaGetErrorString(status),
                cudaGetErrorName(status));
}

void select_device(int index) {
  std::string problem = device_problem();
  if (!problem.empty()) {
    throw Error(UNIFIEDRL_UNAVAILABLE, problem);
  }
  int count = device_count();
  if (index < 0 || index >= count) {
    fail_argument("device %d: there are %d, counted from 0", index, count);
  }
  check(cudaSetDevice(index), "selecting the device");
}

DeviceProperties properties(int index) {
  select_device(index);
  cudaDeviceProp p;
  check(cudaGetDeviceProperties(&p, index), "reading the device's properties");
  DeviceProperties result{p.name, p.multiProcessorCount, p.sharedMemPerBlockOptin, p.totalGlobalMem, 0, p.major, p.minor, 0, 0};
  check(cudaDriverGetVersion(&result.driver), "reading the driver's version");
  check(cudaRuntimeGetVersion(&result.runtime), "reading the runtime's version");
  check(cudaMemGetInfo(&result.memory_free, &result.memory_total), "reading the device's memory");
  return result;
}

DeviceBuffer::DeviceBuffer(size_t bytes, const char* what) {
  if (bytes == 0) {
    return;
  }
  cudaError_t status = cudaMalloc(&data_, bytes);
  if (status == cudaErrorMemoryAllocation) {
    data_ = nullptr;
    cudaGetLastError();
    size_t free = 0, total = 0;
    check(cudaMemGetInfo(&free, &total), "reading the device's memory");
    throw out_of_device_memory(what, bytes, free, total);
  }
  check(status, what);
  size_ = bytes;
  // A constructor that throws runs no destructor.
  status = cudaMemset(data_, 0, bytes);
  status = status == cudaSuccess ? cudaStreamSynchronize(nullptr) : status;
  if (status != cudaSuccess) {
    cudaFree(data_);
    check(status, what);
  }
}

DeviceBuffer::~DeviceBuffer() {
  if (data_ != nullptr && cudaFree(data_) != cudaSuccess) {
    cudaGetLastError();
  }
}

HostBuffer::HostBuffer(size_t bytes, const char* what) {
  if (bytes == 0) {
    return;
  }
  cudaError_t status = cudaHostAlloc(&data_, bytes, cudaHostAllocDefault);
  if (status == cudaErrorMemoryAllocation) {
    data_ = nullptr;
    cudaGetLastError();
    throw Error(UNIFIEDRL_OUT_OF_MEMORY,
                format("%s: wants %zu bytes of page-locked host memory, which the system does not give; lower the batch, or raise the limit of "
                       "locked memory (ulimit -l)",
                       what, bytes));
  }
  check(status, what);
  std::fill_n(static_cast<unsigned char*>(data_), bytes, static_cast<unsigned char>(0));
  size_ = bytes;
}

HostBuffer::~HostBuffer() {
  if (data_ != nullptr && cudaFreeHost(data_) != cudaSuccess) {
    cudaGetLastError();
  }
}

Event::Event(bool timed) {
  cudaEvent_t event;
  check(cudaEventCreateWithFlags(&event, timed ? cudaEventDefault : cudaEventDisableTiming), "making an event");
  handle_ = event;
}
Event::~Event() {
  if (cudaEventDestroy(event_of(handle_)) != cudaSuccess) {
    cudaGetLastError();
  }
}
void Event::record(Stream& stream) { check(cudaEventRecord(event_of(handle_), stream_of(stream)), "recording an event"); }
void Event::synchronise() { check(cudaEventSynchronize(event_of(handle_)), "waiting for an event"); }
float Event::milliseconds_since(const Event& earlier) const {
  float milliseconds = 0;
  check(cudaEventElapsedTime(&milliseconds, event_of(earlier.handle_), event_of(handle_)), "timing events");
  return milliseconds;
}

Stream::Stream(int priority) {
  int least = 0, greatest = 0;  // CUDA's more urgent ones are the lower
  check(cudaDeviceGetStreamPriorityRange(&least, &greatest), "reading the priorities of streams");
  cudaStream_t stream;
  check(cudaStreamCreateWithPriority(&stream, cudaStreamNonBlocking, std::max(greatest, std::min(least, -priority))), "making a stream");
  handle_ = stream;
}
Stream::~Stream() {
  if (cudaStreamDestroy(stream_of(*this)) != cudaSuccess) {
    cudaGetLastError();
  }
}
void Stream::synchronise() { check(cudaStreamSynchronize(stream_of(*this)), "waiting for a stream"); }
void Stream::wait(const Event& event) { check(cudaStreamWaitEvent(stream_of(*this), event_of(event.handle_), 0), "making a stream wait"); }

namespace {
void copy(void* destination, const void* source, size_t bytes, cudaMemcpyKind kind, Stream& stream, const char* what) {
  if (bytes != 0) {
    check(cudaMemcpyAsync(destination, source, bytes, kind, stream_of(stream)), what);
  }
}
}  // namespace

void copy_to_device(void* destination, const void* source, size_t bytes, Stream& stream) {
  copy(destination, source, bytes, cudaMemcpyHostToDevice, stream, "copying to the device");
}
void copy_to_host(void* destination, const void* source, size_t bytes, Stream& stream) {
  copy(destination, source, bytes, cudaMemcpyDeviceToHost, stream, "copying to the host");
}
void copy_on_device(void* destination, const void* source, size_t bytes, Stream& stream) {
  copy(destination, source, bytes, cudaMemcpyDeviceToDevice, stream, "copying on the device");
}
void fill_zero(void* destination, size_t bytes, Stream& stream) {
  if (bytes != 0) {
    check(cudaMemsetAsync(destination, 0, bytes, stream_of(stream)), "filling memory");
  }
}

struct Graph::State {
  cudaStream_t recording = nullptr;
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t executable = nullptr;
  size_t nodes = 0;
};

Graph::Graph() : state_(std::make_unique<State>()) {}
Graph::~Graph() { clear(); }

void Graph::begin(Stream& stream) {
  clear();
  check(cudaStreamBeginCapture(stream_of(stream), cudaStreamCaptureModeThreadLocal), "beginning to record a graph");
  state_->recording = stream_of(stream);
}

void Graph::end() {
  if (state_->recording == nullptr) {
    throw Error(UNIFIEDRL_INTERNAL, "end of a recording that was not begun");
  }
  check(cudaStreamEndCapture(std::exchange(state_->recording, nullptr), &state_->graph), "recording a graph");
  check(cudaGraphGetNodes(state_->graph, nullptr, &state_->nodes), "counting a graph's nodes");
  check(cudaGraphInstantiate(&state_->executable, state_->graph, 0), "building a graph");
}

void Graph::clear() noexcept {
  if (state_->recording != nullptr) {
    cudaStreamEndCapture(std::exchange(state_->recording, nullptr), &state_->graph);
  }
  if (state_->executable != nullptr) {
    cudaGraphExecDestroy(state_->executable);
  }
  if (state_->graph != nullptr) {
    cudaGraphDestroy(state_->graph);
  }
  *state_ = State{};
  cudaGetLastError();
}

void Graph::launch(Stream& stream) {
  if (state_->executable == nullptr) {
    throw Error(UNIFIEDRL_INTERNAL, "launch of a graph that was not recorded");
  }
  check(cudaGraphLaunch(state_->executable, stream_of(stream)), "launching a graph");
}

size_t Graph::nodes() const { return state_->executable == nullptr ? 0 : state_->nodes; }

void launch_kernel(const void* kernel, Dim grid, Dim block, size_t shared_bytes, Stream& stream, void** arguments) {
  allow_shared_memory(kernel, shared_bytes);
  check(cudaLaunchKernel(kernel, dim3(grid.x, grid.y, grid.z), dim3(block.x, block.y, block.z), arguments, shared_bytes, stream_of(stream)),
        "launching a kernel");
}

}  // namespace unifiedrl::cuda
