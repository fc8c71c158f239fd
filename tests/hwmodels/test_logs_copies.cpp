#include "hwmodels/logs/readers.hpp"
#include "sim/base/error.hpp"
#include "tests/support/catch.hpp"

namespace stagesim {
namespace {

const LogRate& rate_of(const LogReading& reading, const std::string& test) {
  for (const LogRate& rate : reading.rates) {
    if (rate.test.find(test) != std::string::npos) return rate;
  }
  FAIL("no rate of " << test);
  return reading.rates.front();
}

TEST_CASE("nvbandwidth text gives rates in one direction and latencies", "[hwmodels][logs]") {
  // In the grammar of the samples in NVIDIA/nvbandwidth's README.
  const LogReading reading = read_nvbandwidth_text(R"(nvbandwidth Version: v0.6
Built from Git version: v0.6

Device 0: NVIDIA H100 80GB HBM3 (00000000:06:00)
Device 1: NVIDIA H100 80GB HBM3 (00000000:07:00)

Running host_to_device_memcpy_ce.
memcpy CE CPU(row) -> GPU(column) bandwidth (GB/s)
           0         1
 0     55.63     55.31

SUM host_to_device_memcpy_ce 110.94

Running device_to_device_memcpy_write_ce.
memcpy CE GPU(row) <- GPU(column) bandwidth (GB/s)
           0         1
0       N/A    397.50
1    395.50       N/A

SUM device_to_device_memcpy_write_ce 793.00

Running device_to_device_latency_sm.
Device to Device Latency SM GPU(row) <-> GPU(column) (ns)
           0         1
 0       N/A    826.00
 1    826.00       N/A

SUM device_to_device_latency_sm 1652.00
Waived:
Some new line
)",
                                                   "nvb.txt");
  CHECK(reading.problems.empty());
  CHECK(reading.version == "v0.6");
  CHECK(reading.devices == std::vector<std::string>{"NVIDIA H100 80GB HBM3"});
  const LogRate& write = rate_of(reading, "write_ce");
  CHECK(write.value == Approx(396.5));
  CHECK(write.pairs == 2);
  CHECK(write.between_gpus);
  CHECK(rate_of(reading, "latency").value == Approx(0.826));
  CHECK_FALSE(rate_of(reading, "host_to_device").between_gpus);
  CHECK(reading.skipped == 1);
  CHECK(reading.quotes == std::vector<std::string>{"line 30: Some new line"});
}

TEST_CASE("nvbandwidth JSON holds its matrices as strings", "[hwmodels][logs]") {
  const LogReading reading = read_nvbandwidth_json(R"json({"nvbandwidth": {"version": "v0.8",
    "GPU Device list": ["0: NVIDIA H100 80GB HBM3 (00000000:06:00): (host)"],
    "testcases": [
     {"name": "device_to_device_memcpy_read_ce", "status": "Passed",
      "bandwidth_matrix": [["N/A", "395.08"], ["370.92", "N/A"]], "sum": 766},
     {"name": "multinode_device_to_device", "status": "Waived"}]
}
})json",
                                                   "nvb.json");
  CHECK(reading.problems.empty());
  CHECK(rate_of(reading, "read_ce").value == Approx(383));
  CHECK(reading.skipped == 1);
}

TEST_CASE("p2pBandwidthLatencyTest: halves of bidirectional matrices, GPU latencies",
          "[hwmodels][logs]") {
  // Rows of aistabci/abci2.0benchmark, 4x V100, two of the four GPUs.
  const LogReading reading = read_p2p_bandwidth(R"([P2P (Peer-to-Peer) GPU Bandwidth Latency Test]
Device: 0, Tesla V100-SXM2-16GB, pciBusID: 3d, pciDeviceID: 0, pciDomainID:0
Device=0 CAN Access Peer Device=1
Device=1 CAN Access Peer Device=0
P2P Connectivity Matrix
     D\D     0     1
     0	     1     1
     1	     1     1
Unidirectional P2P=Disabled Bandwidth Matrix (GB/s)
   D\D     0      1
     0 778.36   9.55
     1   9.58 781.25
Unidirectional P2P=Enabled Bandwidth (P2P Writes) Matrix (GB/s)
   D\D     0      1
     0 777.25  48.48
     1  48.48 780.17
Bidirectional P2P=Enabled Bandwidth Matrix (GB/s)
   D\D     0      1
     0 779.23  96.91
     1  96.86 778.82
P2P=Enabled Latency (P2P Writes) Matrix (us)
   GPU     0      1
     0   1.83   1.92
     1   1.90   1.81

   CPU     0      1
     0   4.00   5.00
     1   5.00   4.00
)",
                                                "p2p.txt");
  CHECK(reading.problems.empty());
  CHECK(reading.skipped == 0);
  CHECK(rate_of(reading, "Unidirectional P2P=Enabled").value == Approx(48.48));
  CHECK_FALSE(rate_of(reading, "Unidirectional P2P=Disabled").peer_to_peer);
  const LogRate& both = rate_of(reading, "Bidirectional");
  CHECK(both.what == Timed::kExchange);
  CHECK(both.value == Approx((96.91 + 96.86) / 4));
  CHECK(rate_of(reading, "Latency").value == Approx(1.91));
}

TEST_CASE("GPUs without peer-to-peer have no link to calibrate", "[hwmodels][logs][errors]") {
  const LogReading reading = read_p2p_bandwidth(R"([P2P (Peer-to-Peer) GPU Bandwidth Latency Test]
Device: 0, NVIDIA GeForce RTX 4090, pciBusID: 1, pciDeviceID: 0, pciDomainID:0
Device=0 CANNOT Access Peer Device=1
Device=1 CANNOT Access Peer Device=0
Unidirectional P2P=Enabled Bandwidth (P2P Writes) Matrix (GB/s)
   D\D     0      1
     0 900.00  22.00
     1  22.10 900.00
)",
                                                "p2p.txt");
  REQUIRE(reading.problems.lines().size() == 1);
  CHECK(reading.problems.lines()[0].find("peer-to-peer is disabled between these GPUs") !=
        std::string::npos);
}

TEST_CASE("OSU latency is one way, bandwidth is MB/s of all pairs without latency",
          "[hwmodels][logs]") {
  // Rows of aistabci/abci2.0benchmark, two A100 nodes, and their unit: MB = 1e6 bytes (osu_bw.c).
  const LogReading latency = read_osu(R"(# OSU MPI Multi Latency Test v5.7
# Send Buffer on DEVICE (D) and Receive Buffer on DEVICE (D)
# Size          Latency (us)
0                       2.12
[1636441] UCX  WARN  object 0x1 was not returned
1048576                74.45
)",
                                      "lat.txt");
  CHECK(latency.problems.empty());
  CHECK(latency.version == "v5.7");
  CHECK(latency.rows == 2);
  CHECK(latency.skipped == 1);
  REQUIRE(latency.points.size() == 1);
  CHECK(latency.points[0].microseconds == 74.45);
  CHECK_FALSE(latency.points[0].streamed);

  const LogReading rate = read_osu(R"(# OSU MPI Multiple Bandwidth / Message Rate Test v5.7
# [ pairs: 2 ] [ window size: 64 ]
# Size                  MB/s        Messages/s
1000000              2000.00          2000.00
)",
                                   "bw.txt");
  REQUIRE(rate.points.size() == 1);
  CHECK(rate.points[0].microseconds == Approx(1000));  // 1000 MB/s a pair
  CHECK(rate.points[0].streamed);

  const LogReading both = read_osu(
      "# OSU MPI-CUDA Bi-Directional Bandwidth Test v7.3\n# Size      Bandwidth (MB/s)\n1000000 "
      "4000\n",
      "bibw.txt");
  CHECK(both.points.at(0).what == Timed::kExchange);
  CHECK(both.points.at(0).microseconds == Approx(500));  // 2000 MB/s each way
  CHECK_FALSE(
      read_osu("# OSU MPI-CUDA Allreduce Latency Test v7.3\n# Size  Avg Latency(us)\n4  9.1\n",
               "ar")
          .problems.empty());
  CHECK_FALSE(read_osu("# OSU MPI Latency Test v7.3\n# Send Buffer on HOST (H)\n8 1.0\n", "h")
                  .notes.empty());
}

std::string perftest(const std::string& columns, const std::string& row,
                     const std::string& remote) {
  return "---------------------------------------------------------------\n"
         "                    RDMA_Write BW Test\n Dual-port       : OFF\n"
         "---------------------------------------------------------------\n"
         " local address: LID 0000 QPN 0x029d PSN 0x85dc13\n GID: 00:00:255:255:10:00:04:07\n"
         " remote address: LID 0000 QPN 0x02a3 PSN 0xa645ce\n GID: " +
         remote + "\n---------------------------------------------------------------\n" + columns +
         "\n" + row + "\n";
}

TEST_CASE("perftest units: Gb/sec is 1e9 bits, MB/sec and MiB/sec are 2^20 bytes",
          "[hwmodels][logs]") {
  const std::string other = "00:00:255:255:10:00:04:08";
  // 65536 bytes at 381.41 Gb/s (google/dranet, 400G RoCE): 1.3746 us.
  const LogReading gbits = read_perftest(
      perftest(" #bytes     #iterations    BW peak[Gb/sec]    BW average[Gb/sec]   MsgRate[Mpps]",
               " 65536      5000           381.50             381.41               0.727473",
               other),
      "bw");
  CHECK(gbits.problems.empty());
  CHECK(gbits.points.at(0).microseconds == Approx(65536 * 8 / 381.41e3));
  CHECK(gbits.points.at(0).streamed);
  for (const char* unit : {"MB/sec", "MiB/sec"}) {
    const std::string u(unit);
    const LogReading mib = read_perftest(
        perftest("#bytes #iterations BW peak[" + u + "] BW average[" + u + "] MsgRate[Mpps]",
                 "1048576    5000   23278.00   23278.00    0.0231", other),
        "bw");
    CHECK(mib.points.at(0).microseconds == Approx(1e6 / 23278.0));  // one MiB
  }
  const LogReading latency = read_perftest(
      perftest(
          " #bytes #iterations    t_min[usec]    t_max[usec]  t_typical[usec]    t_avg[usec]    "
          "t_stdev[usec]   99% percentile[usec]   99.9% percentile[usec]",
          " 8       1000          1.61           4.10         1.65     1.70  0.05  1.90  4.10",
          other),
      "lat");
  CHECK(latency.points.at(0).microseconds == 1.65);
  CHECK_FALSE(latency.points.at(0).streamed);
}

TEST_CASE("perftest over loopback never left the host", "[hwmodels][logs][errors]") {
  const LogReading gid = read_perftest(
      perftest(" #bytes     #iterations    BW peak[Gb/sec]    BW average[Gb/sec]   MsgRate[Mpps]",
               " 65536      5000           381.50             381.41               0.727473",
               "00:00:255:255:10:00:04:07"),
      "bw");
  CHECK(gid.problems.lines().size() == 1);
  const LogReading lid = read_perftest(
      "local address: LID 0xd06 QPN 0x092f\nremote address: LID 0xd06 QPN 0x092e\n"
      "#bytes #iterations BW peak[MB/sec] BW average[MB/sec] MsgRate[Mpps]\n2 2000 5.32 5.30 "
      "2.77\n",
      "loop.txt");
  CHECK(lid.problems.lines() ==
        std::vector<std::string>{"loop.txt: loopback: local and remote side are the same port (LID "
                                 "0xd06), so the messages never left this host; run the server on "
                                 "another node"});
}

}  // namespace
}  // namespace stagesim
