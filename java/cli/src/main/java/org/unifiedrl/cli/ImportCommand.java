package org.unifiedrl.cli;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.Callable;
import org.unifiedrl.data.ImportException;
import org.unifiedrl.data.LogImport;
import org.unifiedrl.data.LogMapping;
import org.unifiedrl.data.LogSource;
import org.unifiedrl.engine.DurableFiles;
import org.unifiedrl.mtf.experiment.Environments;
import org.unifiedrl.mtf.experiment.ExperimentConfig;
import org.unifiedrl.mtf.experiment.RunListener;
import org.unifiedrl.mtf.session.Environment;
import org.unifiedrl.mtf.session.LoggedRequests;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

@Command(
    name = "import",
    description = {
      "Turns logs of a production system into a log that train and evaluate read: one row a request,"
          + " columns named by a mapping (docs/import.md). What cannot be right is refused by file,"
          + " row and column, and nothing is then left.%n"
    },
    footerHeading = "%nExamples:%n",
    footer = {
      "  unifiedrl import logs/*.parquet --mapping mapping.yaml --out runs/log",
      "  unifiedrl import log.csv.gz --mapping mapping.yaml --out runs/log \\",
      "      --quarantine bad-rows.csv",
      "  unifiedrl import --mapping mapping.yaml --out runs/log \\",
      "      --sql \"FROM 'log.parquet' JOIN 'users.csv' USING (user_id)\""
    })
final class ImportCommand implements Callable<Integer> {

  @Parameters(
      paramLabel = "LOG",
      arity = "0..*",
      description =
          "Files of one kind: .parquet, .arrow, .csv, .tsv, .jsonl or .ndjson (text also with .gz);"
              + " names may hold * and ?.")
  List<String> logs = new ArrayList<>();

  @Option(
      names = "--sql",
      paramLabel = "QUERY",
      description = "A query in DuckDB's SQL instead of files; it may read and join any.")
  String sql;

  @Option(
      names = "--mapping",
      paramLabel = "FILE",
      required = true,
      description = "YAML that says what the columns mean.")
  Path mapping;

  @Option(
      names = "--held-out",
      paramLabel = "SHARE",
      defaultValue = "0.1",
      description = "Share of users kept for evaluation, 0 to 0.9 (default: ${DEFAULT-VALUE}).")
  double heldOut;

  @Option(
      names = "--quarantine",
      paramLabel = "FILE",
      description =
          "Leave bad rows out and write them there (.parquet, .csv or .jsonl), each with its place"
              + " and what is wrong with it.")
  Path quarantine;

  @Option(
      names = "--threads",
      paramLabel = "N",
      description = "Threads that read (default: one per processor).")
  Integer threads;

  @Option(
      names = "--memory",
      paramLabel = "MB",
      defaultValue = "2048",
      description =
          "Memory of the query engine, and as much again for rows before they go to files"
              + " (default: ${DEFAULT-VALUE}).")
  int memory;

  @Mixin RunOptions common;

  @Override
  public Integer call() {
    common.checkJson();
    if (logs.isEmpty() == (sql == null)) {
      throw new UsageException("give files to import, or --sql QUERY: one of them");
    }
    RunFolder folder = RunFolder.plan(common.out, "import");
    Path path = folder.path().toAbsolutePath().normalize();
    checkQuarantine(path);
    Path unfinished = path.resolveSibling("." + path.getFileName() + ".importing");
    try {
      DurableFiles.deleteTree(unfinished); // of an import that was killed
      DurableFiles.createFolders(unfinished);
      ObjectNode result = run(new RunFolder(unfinished), path);
      Files.deleteIfExists(path); // an empty folder
      DurableFiles.rename(unfinished, path);
      common.text().println("Left in " + folder.path());
      common.text().flush();
      common.writeJson(result);
    } catch (ImportException e) {
      throw new UsageException(e.getMessage(), e);
    } catch (IOException e) {
      throw new UncheckedIOException(
          "cannot write " + folder.path() + ": " + FileErrors.reason(e), e);
    } finally {
      remove(unfinished);
    }
    return 0;
  }

  private void checkQuarantine(Path out) {
    if (quarantine == null) {
      return;
    }
    if (Files.exists(quarantine)) {
      throw new UsageException("--quarantine " + quarantine + " exists: give a new file");
    }
    Path absolute = quarantine.toAbsolutePath().normalize();
    if (absolute.startsWith(out)) {
      throw new UsageException(
          "--quarantine " + quarantine + " lies in --out: give a file beside it");
    }
    try {
      FileErrors.probe(absolute.getParent());
      DurableFiles.createFolders(absolute.getParent());
    } catch (IOException e) {
      throw new UsageException(
          "--quarantine " + quarantine + " cannot be written: " + FileErrors.reason(e), e);
    }
  }

  private static void remove(Path folder) {
    try {
      DurableFiles.deleteTree(folder);
    } catch (IOException e) {
      // What ended the import is what its user must know; the next one removes it.
    }
  }

  /** Imports into a folder that will be found at a path. */
  private ObjectNode run(RunFolder folder, Path path) throws IOException {
    LogMapping columns = LogMapping.read(mapping);
    long seed = common.seed == null ? 1 : common.seed;
    Path temporary = folder.path().resolve("temporary");
    LogImport.Options options =
        new LogImport.Options(
            heldOut,
            seed,
            threads == null ? Runtime.getRuntime().availableProcessors() : threads,
            memory,
            temporary,
            quarantine);
    long start = System.nanoTime();
    LogImport.Result imported;
    try (Bar bar = new Bar(common.listener());
        LogSource source = sql == null ? LogSource.files(logs, temporary) : LogSource.query(sql)) {
      imported = new LogImport(columns, options).run(source, folder.train(), folder.heldOut(), bar);
    }
    DurableFiles.deleteTree(temporary);
    Environment environment = LoggedRequests.open(folder.path());
    folder.writeBaseline(imported.baselineAction(), environment);
    folder.writeConfig(config(columns, imported, seed, path));
    ObjectNode result = result(imported, columns, (System.nanoTime() - start) / 1e9);
    Json.write(folder.result(), result);
    return result;
  }

  private static ExperimentConfig config(
      LogMapping columns, LogImport.Result imported, long seed, Path path) {
    Configuration configuration = Configuration.of(ExperimentConfig.defaults());
    configuration.put("environment", Environments.LOG + path);
    configuration.put("seed", seed);
    List<Double> weights = Collections.nCopies(columns.reward().size(), 1.0);
    configuration.put("training", "group_weights", weights);
    // What the policy is explored in when it is served: no wider than its log was.
    if (columns.box().halfWidth() != null) {
      configuration.put("exploration", "half_width", columns.box().halfWidth());
    } else {
      configuration.put("exploration", "lower_bounds", imported.lowerBounds());
      configuration.put("exploration", "upper_bounds", imported.upperBounds());
    }
    return configuration.get();
  }

  private ObjectNode result(LogImport.Result imported, LogMapping columns, double seconds) {
    long rows = imported.requests() + imported.heldOutRequests();
    PrintWriter out = common.text();
    out.printf(
        "Imported %,d requests in %,d sessions to learn from, and %,d requests of other users for"
            + " evaluation, in %.1f s (%,.0f a second)%n",
        imported.requests(),
        imported.sessions(),
        imported.heldOutRequests(),
        seconds,
        rows / seconds);
    if (imported.heldOutRequests() == 0) {
      out.println("No user is held out: evaluate has nothing to judge by (--held-out, --seed)");
    }
    if (imported.quarantined() > 0) {
      out.printf("Left out %,d bad rows: %s%n", imported.quarantined(), quarantine);
    }
    out.printf(
        "Reward groups %s, weighted 1 each unless --set training.group_weights says otherwise%n",
        columns.reward().keySet());
    ObjectNode result = Json.object();
    result.put("environment", "log");
    ObjectNode log = result.putObject("log");
    log.put("requests", imported.requests());
    log.put("sessions", imported.sessions());
    log.put("held_out_requests", imported.heldOutRequests());
    log.put("out_of_box", imported.outOfBox());
    log.put("quarantined", imported.quarantined());
    Json.put(log, "seconds", seconds);
    return result;
  }

  /** Progress that begins once the number of rows is known. */
  private static final class Bar implements LogImport.Progress, AutoCloseable {

    private final RunListener listener;
    private RunListener.Stage stage;

    Bar(RunListener listener) {
      this.listener = listener;
    }

    @Override
    public void at(long done, long total) {
      if (stage == null) {
        stage = listener.begin("import", "rows", total);
      }
      stage.at(done, "");
    }

    @Override
    public void close() {
      if (stage != null) {
        stage.close();
      }
    }
  }
}
