// See ctorch.h: processes that compute together, on c10d.
#include "handles.h"

#include <c10/core/impl/VirtualGuardImpl.h>
#include <c10/util/Logging.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#ifdef USE_C10D_NCCL
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>
#endif

#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <sstream>
#include <thread>

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

namespace {

// c10d's own bounds are put out of reach: they hold for single operations, whose time says nothing about whether the
// others live, as one process may evaluate or write for an hour while the rest wait. The watch bounds that instead.
constexpr std::chrono::milliseconds boundless = std::chrono::hours(24 * 30);

std::chrono::milliseconds milliseconds(double seconds) {
    return std::chrono::milliseconds(static_cast<int64_t>(seconds * 1000));
}

// Says every second through the store that this process lives, and notices when another one no longer does.
class Watch {
  public:
    Watch(std::string host, int port, std::string name, int rank, int size, double patience, ct_lost lost)
        : host_(std::move(host)), port_(port), name_(std::move(name)), rank_(rank), size_(size), patience_(patience),
          lost_(lost) {}

    void start(std::shared_ptr<Watch> self) {
        std::thread([self] { self->run(); }).detach();
    }

    // Where a process was lost, what is known of it; else empty. Who has asked will not be told otherwise.
    std::string fault() {
        std::lock_guard lock(mutex_);
        if (is_muted_) return {};
        if (!fault_.empty()) {
            is_noticed_ = true;
            return fault_;
        }
        double silent = Seconds(Clock::now() - answered_).count();
        if (silent < patience_) return {};
        is_noticed_ = true;
        return "the store at " + place() + " has not answered for " + text(silent) + " s";
    }

    void mute() {
        std::lock_guard lock(mutex_);
        is_muted_ = true;
    }

    // Waits for the thread too, unless it is stuck in the network.
    void stop() {
        std::unique_lock lock(mutex_);
        is_muted_ = quits_ = true;
        changed_.notify_all();
        changed_.wait_for(lock, std::chrono::seconds(2), [&] { return has_ended_; });
    }

  private:
    std::string host_;
    int port_;
    std::string name_;
    int rank_, size_;
    double patience_;
    ct_lost lost_;
    // Guards what follows.
    std::mutex mutex_;
    std::condition_variable changed_;
    std::string fault_;
    // Whether the thread that computes knows.
    bool is_noticed_ = false;
    // Whether others may leave.
    bool is_muted_ = false;
    bool quits_ = false;
    bool has_ended_ = false;
    // When the store did last.
    Clock::time_point answered_ = Clock::now();

    static std::string text(double seconds) { return std::to_string(static_cast<int64_t>(seconds + 0.5)); }
    std::string place() const { return host_ + ":" + std::to_string(port_); }

    void run() {
        std::string found;
        try {
            found = watch();
        } catch (const std::exception &error) {
            found = "the store at " + place() + " is gone: " + std::string(error.what()).substr(0, 200);
        }
        std::unique_lock lock(mutex_);
        fault_ = found;
        // The thread that computes may wait for a device or a connection that will never answer.
        changed_.wait_for(lock, std::chrono::seconds(10), [&] { return is_muted_ || is_noticed_; });
        bool must_end = !is_muted_ && !is_noticed_ && !found.empty();
        has_ended_ = true;
        changed_.notify_all();
        lock.unlock();
        if (must_end) lost_(found.c_str());
    }

    // Returns what is wrong, or nothing after `stop`.
    std::string watch() {
        c10d::TCPStoreOptions options;
        options.port = static_cast<uint16_t>(port_);
        options.waitWorkers = false;
        options.timeout = milliseconds(patience_);
        c10d::PrefixStore store(name_, c10::make_intrusive<c10d::TCPStore>(host_, options));
        struct Peer {
            int64_t beats = -1;
            Clock::time_point heard = Clock::now();
        };
        std::vector<Peer> peers(size_);
        auto key = [](int rank) { return "beat/" + std::to_string(rank); };
        auto pause = milliseconds(std::min(1.0, patience_ / 8));
        while (true) {
            store.add(key(rank_), 1);
            for (int rank = 0; rank < size_; rank++) {
                if (rank == rank_) continue;
                // Adding nothing reads, and makes the key where it is not there yet.
                auto beats = store.add(key(rank), 0);
                auto now = Clock::now();
                if (beats != peers[rank].beats) peers[rank] = {beats, now};
                double silent = Seconds(now - peers[rank].heard).count();
                if (silent > patience_)
                    return "process " + std::to_string(rank) + " has given no sign of life for " + text(silent) + " s";
            }
            std::unique_lock lock(mutex_);
            answered_ = Clock::now();
            if (changed_.wait_for(lock, pause, [&] { return quits_; })) return {};
        }
    }
};

// Of gloo's and NCCL's words the first line, without the source's place before it and advice behind it.
std::string essence(std::string text) {
    text = text.substr(0, text.find('\n'));
    if (auto end = text.find("] "); text.rfind('[', 0) == 0 && end != std::string::npos) text = text.substr(end + 2);
    return text.substr(0, text.find(". This is typically"));
}

c10::intrusive_ptr<c10d::Backend> host_backend(const c10::intrusive_ptr<c10d::Store> &store, int rank, int size,
                                       double patience) {
    auto options = c10d::ProcessGroupGloo::Options::create(milliseconds(patience));
    // As torch has it: names of network interfaces, separated by commas.
    const char *names = std::getenv("GLOO_SOCKET_IFNAME");
    std::stringstream list(names == nullptr ? "" : names);
    for (std::string name; std::getline(list, name, ',');)
        options->devices.push_back(c10d::ProcessGroupGloo::createDeviceForInterface(name));
    if (options->devices.empty()) options->devices.push_back(c10d::ProcessGroupGloo::createDefaultDevice());
    return c10::make_intrusive<c10d::ProcessGroupGloo>(store, rank, size, options);
}

c10::intrusive_ptr<c10d::Backend> device_backend(const c10::intrusive_ptr<c10d::Store> &store, int rank, int size) {
#ifdef USE_C10D_NCCL
    // NCCL's own watchdogs end a process by an exception that nobody can catch.
    setenv("TORCH_NCCL_ASYNC_ERROR_HANDLING", "0", 0);
    setenv("TORCH_NCCL_ENABLE_MONITORING", "0", 0);
    setenv("TORCH_NCCL_DUMP_ON_TIMEOUT", "0", 0);
    auto options = c10d::ProcessGroupNCCL::Options::create();
    options->timeout = boundless;
    return c10::make_intrusive<c10d::ProcessGroupNCCL>(store, rank, size, options);
#else
    TORCH_CHECK(false, "no NCCL");
#endif
}

}  // namespace

struct ct_group {
    c10::intrusive_ptr<c10d::TCPStore> server;
    c10::intrusive_ptr<c10d::Backend> host, device;
    std::shared_ptr<Watch> watch;
    double patience = 0;

    c10d::Backend &backend(const at::Tensor &tensor) {
        if (tensor.device().is_cpu()) return *host;
        TORCH_CHECK(device, "the group was made for tensors on the CPU");
        return *device;
    }

    // Returns when `work` is done, in the order of the device's stream too.
    void finish(const c10::intrusive_ptr<c10d::Work> &work) {
        for (int turns = 0; !work->isCompleted(); turns++) {
            auto fault = watch->fault();
            TORCH_CHECK(fault.empty(), fault);
            if (turns < 100)
                std::this_thread::yield();
            else
                std::this_thread::sleep_for(std::chrono::microseconds(std::min(1000, turns)));
        }
        try {
            work->wait();
        } catch (const std::exception &error) {
            throw std::runtime_error("another process has ended, or the connection to it broke (" + essence(error.what()) +
                                     ")");
        }
    }
};

int ct_use_device(ct_device_kind kind, int index) {
    return guarded([&] {
        if (kind != CT_CUDA) return;
        c10::impl::VirtualGuardImpl(at::kCUDA).setDevice(at::Device(at::kCUDA, static_cast<int8_t>(index)));
    });
}

int ct_group_make(const char *host, int port, bool serves, const char *name, int rank, int size, ct_device_kind kind,
                  double patience, ct_lost lost, ct_group **out) {
    return guarded([&] {
#ifndef USE_C10D_NCCL
        TORCH_CHECK(kind == CT_CPU, "the libtorch shim was compiled without NCCL, so that several processes can train on "
                                    "CPUs alone; native/build says which headers it misses");
#endif
        // A connection that breaks is reported once, by us, and not with c10d's stack.
        setenv("TORCH_CPP_LOG_LEVEL", "ERROR", 0);
        c10::initLogging();
        // Writing to a peer that has gone is an error like others.
        std::signal(SIGPIPE, SIG_IGN);
        c10d::TCPStoreOptions options;
        options.port = static_cast<uint16_t>(port);
        options.isServer = serves;
        options.numWorkers = size;
        options.timeout = milliseconds(patience);
        auto group = std::make_unique<ct_group>();
        group->patience = patience;
        group->server = c10::make_intrusive<c10d::TCPStore>(host, options);
        auto store = [&](const char *part) {
            return c10::make_intrusive<c10d::PrefixStore>(std::string(name) + "/" + part, group->server);
        };
        group->host = host_backend(store("gloo"), rank, size, patience);
        group->host->setTimeout(boundless);
        if (kind == CT_CUDA) group->device = device_backend(store("nccl"), rank, size);
        group->watch = std::make_shared<Watch>(host, port, std::string(name) + "/watch", rank, size, patience, lost);
        group->watch->start(group->watch);
        *out = group.release();
    });
}

int ct_group_sum_(ct_group *group, ct_tensor *t) {
    return guarded([&] {
        std::vector<at::Tensor> tensors{t->value};
        group->finish(group->backend(t->value).allreduce(tensors));
    });
}

int ct_group_broadcast_(ct_group *group, ct_tensor *t, int root) {
    return guarded([&] {
        std::vector<at::Tensor> tensors{t->value};
        c10d::BroadcastOptions options;
        options.rootRank = root;
        group->finish(group->backend(t->value).broadcast(tensors, options));
    });
}

int ct_group_close(ct_group *group) {
    return guarded([&] {
        group->watch->mute();
        group->host->setTimeout(milliseconds(group->patience));
        std::vector<at::Tensor> tensors{at::zeros({1})};
        group->finish(group->host->allreduce(tensors));
        group->watch->stop();
        if (group->device) group->device->shutdown();
        delete group;
    });
}

void ct_group_abandon(ct_group *group) {
    // Not deleted: what waits for a lost process would be waited for.
    group->watch->stop();
}
