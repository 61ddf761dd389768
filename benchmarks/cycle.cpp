// The peer of benchmarks/cycle.py: a straightforward tournament tree over weighted dominant shares, arrays of doubles.
// Reads: frameworks, resources, totals; per framework its weight and what it holds; agents; per agent what is free.
// Writes: the least of the rounds' nanoseconds, then to which framework each agent went. Amounts are small integers,
// so that a double holds every product exactly and the order is that of exact arithmetic.
#include <chrono>
#include <cstdio>
#include <vector>
using std::vector;

struct Tree {
    int leaves;
    vector<int> winner;
    const vector<double>& share;
    const vector<int>& count;
    Tree(const vector<double>& s, const vector<int>& c) : leaves(1), share(s), count(c) {
        while (leaves < (int)s.size()) leaves *= 2;
        winner.assign(2 * leaves, -1);
        for (int i = 0; i < (int)s.size(); ++i) winner[leaves + i] = i;
        for (int i = leaves - 1; i > 0; --i) winner[i] = better(winner[2 * i], winner[2 * i + 1]);
    }
    int better(int a, int b) const {
        if (a < 0) return b;
        if (b < 0) return a;
        if (share[a] != share[b]) return share[a] < share[b] ? a : b;
        if (count[a] != count[b]) return count[a] < count[b] ? a : b;
        return a < b ? a : b;
    }
    void changed(int leaf) {
        for (int i = (leaves + leaf) / 2; i > 0; i /= 2) winner[i] = better(winner[2 * i], winner[2 * i + 1]);
    }
};

int main() {
    int frameworks, resources, agents, rounds;
    if (scanf("%d %d %d %d", &rounds, &frameworks, &resources, &agents) != 4) return 1;
    vector<double> total(resources), weight(frameworks), held0(frameworks * resources), free(agents * resources);
    auto read = [](vector<double>& v) { for (double& x : v) if (scanf("%lf", &x) != 1) return false; return true; };
    vector<double> counts(frameworks);
    if (!read(total) || !read(weight) || !read(counts) || !read(held0) || !read(free)) return 1;
    vector<int> owner(agents);
    long long best = -1;
    for (int round = 0; round < rounds; ++round) {
        vector<double> held = held0, share(frameworks, 0.0);
        vector<int> count(counts.begin(), counts.end());
        auto measure = [&](int f) {
            double most = 0;
            for (int r = 0; r < resources; ++r) {
                double s = held[f * resources + r] / (total[r] * weight[f]);
                if (s > most) most = s;
            }
            share[f] = most;
        };
        for (int f = 0; f < frameworks; ++f) measure(f);
        auto start = std::chrono::steady_clock::now();
        Tree tree(share, count);
        for (int a = 0; a < agents; ++a) {
            int f = owner[a] = tree.winner[1];
            for (int r = 0; r < resources; ++r) held[f * resources + r] += free[a * resources + r];
            ++count[f];
            measure(f);
            tree.changed(f);
        }
        long long took = std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now() - start).count();
        if (best < 0 || took < best) best = took;
    }
    printf("%lld\n", best);
    for (int f : owner) printf("%d\n", f);
}
