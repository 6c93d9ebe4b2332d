// SPDX-License-Identifier: Apache-2.0
// Options by CLI11, the data set and its batches.
#include "fashion_mnist.hpp"

#include <CLI/CLI.hpp>
#include <cstdio>

#include <sys/stat.h>
#include <unistd.h>

namespace fashion {

struct CommandLine::Parser {
  CLI::App app;
};

CommandLine::CommandLine(const char* purpose, Options& o) : parser_(new Parser{CLI::App{purpose}}) {
  CLI::App& app = parser_->app;
  app.add_option("--epochs", o.epochs, "passes over the training images (5)");
  app.add_option("--steps", o.steps, "end after that many steps in all, whatever the epoch");
  app.add_option("--samples", o.samples, "use the first N training images only");
  app.add_option("--batch", o.batch, "images a step (64)");
  app.add_option("--lr", o.lr, "learning rate (0.05)");
  app.add_option("--dropout", o.dropout, "dropout probability behind each hidden layer (0)");
  app.add_option("--seed", o.seed, "seed of weights, order and dropout (1)")
      ->check(CLI::NonNegativeNumber);  // -1 would become 2^64 - 1
  app.add_option("--threads", o.threads, "threads of one operation (all cores)");
  app.add_option("--data", o.data, "folder with the four idx files, plain or .gz");
  app.add_option("--checkpoint", o.checkpoint,
                 "file written at the end (fashion_mnist.safetensors)");
  app.add_option("--resume", o.resume, "checkpoint to go on from");
  app.add_option("--device", o.device, "cpu or cuda (cpu)")->check(CLI::IsMember({"cpu", "cuda"}));
}
CommandLine::~CommandLine() = default;

void CommandLine::option(const char* name, int& value, const char* help) {
  parser_->app.add_option(name, value, help);
}
void CommandLine::option(const char* name, std::int64_t& value, const char* help) {
  parser_->app.add_option(name, value, help);
}
void CommandLine::option(const char* name, double& value, const char* help) {
  parser_->app.add_option(name, value, help);
}
void CommandLine::option(const char* name, std::string& value, const char* help,
                         const std::vector<std::string>& choices) {
  parser_->app.add_option(name, value, help)->check(CLI::IsMember(choices));
}
void CommandLine::flag(const char* name, bool& value, const char* help) {
  parser_->app.add_flag(name, value, help);
}
int CommandLine::run(int argc, char** argv, const std::function<int()>& run) {
  try {
    parser_->app.parse(argc, argv);
    return run();
  } catch (const CLI::CallForHelp& help) {
    return parser_->app.exit(help);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
}

void check(const Options& o) {
  if (o.epochs < 0 || o.steps < 0 || o.samples < 0 || o.threads < 0)
    fail(Error::value, "--epochs, --steps, --samples and --threads must not be negative");
  if (!(o.lr >= 0 && o.lr <= 1e6f)) fail(Error::value, "--lr must be a number from 0 to 1e6");
  if (!(o.dropout >= 0 && o.dropout < 1)) fail(Error::value, "--dropout must lie in [0, 1)");
}
void check_checkpoint(const Options& o) {
  const std::size_t slash = o.checkpoint.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : o.checkpoint.substr(0, slash + 1);
  struct stat info;
  if (slash + 1 == o.checkpoint.size() || access(folder.c_str(), W_OK) != 0 ||
      (stat(o.checkpoint.c_str(), &info) == 0 && !S_ISREG(info.st_mode)))
    fail(Error::file, "--checkpoint " + o.checkpoint + " cannot be written");
}

data::ImageSet load(const Options& options, bool quiet) {
  const std::string installed = "/usr/share/datasets/fashion-mnist";
  struct stat info;
  if (!options.data.empty()) return data::load_fashion_mnist(options.data);
  if (stat(installed.c_str(), &info) == 0) return data::load_fashion_mnist(installed);
  if (!quiet) std::printf("Fashion-MNIST is not installed: training on handwritten digits\n");
  const std::string here = __FILE__;
  return data::load_digits(here.substr(0, here.find_last_of('/') + 1) + "data/digits.csv.gz");
}

namespace {
AnyTensor first_rows(const AnyTensor& t, std::int64_t n) {
  return n > 0 && n < t.extent(0) ? detail::rows_of(t, 0, n).to_contiguous() : t;
}
}  // namespace

data::Batches batches_of(const data::ImageSet& set, const Options& o) {
  if (set.train_images.size() == 0 || set.test_images.size() == 0)
    fail(Error::value, "the data set has no training or no test images");
  return {first_rows(set.train_images, o.samples), first_rows(set.train_labels, o.samples), o.batch,
          o.seed};
}

}  // namespace fashion
