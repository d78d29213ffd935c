// SPDX-License-Identifier: MIT
// boost_queue.cpp - boost::interprocess::message_queue, asked as bench/peer.h says:
// "stream PRODUCERS CONSUMERS SIZE N", "round_trip 1 1 8 N", "alone 1 1 8 N".
#include <boost/interprocess/ipc/message_queue.hpp>
#include <boost/interprocess/mapped_region.hpp>
#include <boost/interprocess/anonymous_shared_memory.hpp>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <memory>
#include <string>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

namespace ipc = boost::interprocess;

namespace {

constexpr std::size_t room = 64 * 1024, max_size = 1024;

double now()
{
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

// A named queue that lives as long as this.
class queue {
public:
    queue(const char *tag, std::size_t size) : name("bench_" + std::to_string(getpid()) + tag)
    {
        ipc::message_queue::remove(name.c_str());
        q = std::make_unique<ipc::message_queue>(ipc::create_only, name.c_str(), room / size, size);
    }
    ~queue() { ipc::message_queue::remove(name.c_str()); }
    queue(const queue &) = delete;
    queue &operator=(const queue &) = delete;

    void put(const void *data, std::size_t size) { q->send(data, size, 0); }
    void get(void *data, std::size_t size)
    {
        ipc::message_queue::size_type got;
        unsigned priority;
        q->receive(data, size, got, priority);
    }

private:
    std::string name;
    std::unique_ptr<ipc::message_queue> q;
};

struct shared {
    std::atomic<unsigned> ready, go;
    std::atomic<std::uint64_t> total;
    double end[16];
};

// One processor each, when there are enough; as bench/crew.c does.
void pin(unsigned index, unsigned count)
{
    cpu_set_t all, one;
    if (sched_getaffinity(0, sizeof all, &all) < 0 || count > static_cast<unsigned>(CPU_COUNT(&all))) return;
    std::size_t cpu = 0;
    while (!CPU_ISSET(cpu, &all) || index-- > 0) cpu++;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    sched_setaffinity(0, sizeof one, &one);
}

template <typename Role> double crew(unsigned count, Role role)
{
    ipc::mapped_region region(ipc::anonymous_shared_memory(sizeof(shared)));
    shared *s = new (region.get_address()) shared{};
    for (unsigned i = 0; i < count; i++) {
        if (fork() != 0) continue;
        pin(i, count);
        s->ready++;
        while (!s->go) usleep(50);
        std::uint64_t sum = role(i);
        s->end[i] = now();
        s->total += sum;
        _exit(0);
    }
    while (s->ready < count) usleep(100);
    double start = now(), last = start;
    s->go = 1;
    bool good = true;
    for (int status; wait(&status) > 0;) good = good && status == 0;
    for (unsigned i = 0; i < count; i++) last = s->end[i] > last ? s->end[i] : last;
    return good && s->total == 0 ? last - start : -1;
}

double stream(unsigned producers, unsigned consumers, std::size_t size, std::uint64_t n)
{
    queue q("", size);
    return crew(producers + consumers, [&](unsigned index) {
        char message[max_size] = {};
        std::uint64_t sum = 0, number = 0;
        if (index < producers) {
            for (std::uint64_t i = 0; i < n / producers; i++, sum += i - 1) {
                std::memcpy(message, &i, sizeof i);
                q.put(message, size);
            }
            return sum;
        }
        for (std::uint64_t i = 0; i < n / consumers; i++) {
            q.get(message, size);
            std::memcpy(&number, message, sizeof number);
            sum -= number;
        }
        return sum;
    });
}

double round_trip(std::uint64_t n)
{
    queue there("there", 8), back("back", 8);
    return crew(2, [&](unsigned index) {
        queue &out = index == 0 ? there : back, &in = index == 0 ? back : there;
        for (std::uint64_t i = 0, number; i < n; i++) {
            if (index == 0) out.put(&i, sizeof i);
            in.get(&number, sizeof number);
            if (index == 1) out.put(&number, sizeof number);
        }
        return std::uint64_t{0};
    });
}

double alone(std::uint64_t n)
{
    queue q("", 8);
    double start = now();
    for (std::uint64_t i = 0, number; i < n; i++) {
        q.put(&i, sizeof i);
        q.get(&number, sizeof number);
    }
    return now() - start;
}

} // namespace

int main()
{
    char what[32];
    unsigned producers, consumers;
    std::size_t size;
    unsigned long long n;
    while (std::scanf("%31s %u %u %zu %llu", what, &producers, &consumers, &size, &n) == 5) {
        std::string asked = what;
        double seconds = asked == "stream" ? stream(producers, consumers, size, n)
                         : asked == "round_trip" ? round_trip(n)
                                                 : alone(n);
        std::printf("%.9f\n", seconds);
        std::fflush(stdout);
    }
    return 0;
}
