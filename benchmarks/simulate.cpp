// The same experiment as simulate.py runs, as a small C++ event loop: agents with two slots each, frameworks that fill
// what they are offered with tasks of N(30 s, 10 s), offers to whoever has the least. Nine events a task: its end at the
// agent, the update at the master, a tick, update and offer at their frameworks, the accept, the launch, and running
// reported and told. Prints: events, tasks ended, CPU seconds.
//
// Usage: simulate AGENTS FRAMEWORKS WARM_S MEASURED_S
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <queue>
#include <random>
#include <set>
#include <vector>

enum Kind : uint8_t { End, Finished, Tick, Told, Offered, Accept, Launch, Running };

struct Event {
    int64_t due_us;
    uint64_t number;
    Kind kind;
    int32_t agent, framework;
    bool operator>(const Event& other) const {
        return due_us != other.due_us ? due_us > other.due_us : number > other.number;
    }
};

struct World {
    static constexpr int64_t LATENCY_US = 500;
    std::priority_queue<Event, std::vector<Event>, std::greater<Event>> due;
    std::vector<int32_t> held;                       // slots by framework, in tasks and offers
    std::set<std::pair<int32_t, int32_t>> order;     // (held, framework): whose turn it is
    std::vector<int32_t> fresh;                      // how many first tasks are still to be cut, by framework
    std::mt19937_64 dice{1};
    std::normal_distribution<double> lasts_s{30, 10};
    int64_t now_us = 0;
    uint64_t number = 0, events = 0, ended = 0;

    World(int agents, int frameworks) : held(frameworks), fresh(frameworks, 2 * agents / frameworks) {
        for (int f = 0; f < frameworks; f++) order.insert({0, f});
        for (int a = 0; a < agents; a++)
            for (int slot = 0; slot < 2; slot++) at(0, Tick, a, -1);
    }
    void at(int64_t delay_us, Kind kind, int agent, int framework) {
        due.push({now_us + delay_us, number++, kind, agent, framework});
    }
    void hold(int framework, int by) {
        order.erase({held[framework], framework});
        held[framework] += by;
        order.insert({held[framework], framework});
    }
    int64_t drawn_us(int framework) {
        double s = std::max(0.001, lasts_s(dice));
        if (fresh[framework] > 0) {
            fresh[framework]--;
            s *= std::uniform_real_distribution<double>(0, 1)(dice);
        }
        return int64_t(s * 1e6);
    }
    void step() {
        Event e = due.top();
        due.pop();
        now_us = e.due_us;
        events++;
        switch (e.kind) {
            case End: at(LATENCY_US, Finished, e.agent, e.framework); break;
            case Finished: ended++; hold(e.framework, -1); at(LATENCY_US, Told, e.agent, e.framework); at(0, Tick, e.agent, -1); break;
            case Tick: {
                int next = order.begin()->second;
                hold(next, 1);
                at(LATENCY_US, Offered, e.agent, next);
                break;
            }
            case Told: break;
            case Offered: at(LATENCY_US, Accept, e.agent, e.framework); break;
            case Accept: at(LATENCY_US, Launch, e.agent, e.framework); break;
            case Launch: at(LATENCY_US, Running, e.agent, e.framework); at(drawn_us(e.framework), End, e.agent, e.framework); break;
            case Running: at(LATENCY_US, Told, e.agent, e.framework); break;
        }
    }
    void run(int64_t until_us) {
        while (!due.empty() && due.top().due_us <= until_us) step();
    }
};

int main(int, char** argv) {
    World world(std::atoi(argv[1]), std::atoi(argv[2]));
    int64_t warm_us = std::atoll(argv[3]) * 1000000;
    world.run(warm_us);
    uint64_t events = world.events, ended = world.ended;
    std::clock_t began = std::clock();
    world.run(warm_us + std::atoll(argv[4]) * 1000000);
    double cpu_s = double(std::clock() - began) / CLOCKS_PER_SEC;
    std::printf("%llu %llu %.6f\n", (unsigned long long)(world.events - events), (unsigned long long)(world.ended - ended), cpu_s);
}
