package org.unifiedrl.mtf.kuairand;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.zip.GZIPOutputStream;

/**
 * A small made-up folder in KuaiRand's published layout: two log files of two days each, and users
 * who watch long what they are predicted to watch long. Every exposure's play time is its own, so
 * that a test can tell which one was shown.
 */
final class PublishedFiles {

  static final int USERS = 60;
  static final int EARLY = 4; // exposures per user on the first two days
  static final int SERVED = 10; // on the last two

  static final String LOG_HEADER =
      "user_id,video_id,date,hourmin,time_ms,is_click,is_like,is_follow,is_comment,is_forward,"
          + "is_hate,long_view,play_time_ms,duration_ms,profile_stay_time,comment_stay_time,"
          + "is_profile_enter,is_rand,tab";

  final List<String> earlyLog = new ArrayList<>(List.of(LOG_HEADER));
  final List<String> lateLog = new ArrayList<>(List.of(LOG_HEADER));
  final List<String> users = new ArrayList<>();
  final List<String> videos = new ArrayList<>();
  final List<String> scores = new ArrayList<>();

  PublishedFiles() {
    StringBuilder header =
        new StringBuilder(
            "user_id,user_active_degree,is_lowactive_period,is_live_streamer,is_video_author,"
                + "follow_user_num,follow_user_num_range,fans_user_num,fans_user_num_range,"
                + "friend_user_num,friend_user_num_range,register_days,register_days_range");
    for (int i = 0; i < 18; i++) {
      header.append(",onehot_feat").append(i);
    }
    users.add(header.toString());
    videos.add("video_id,author_id,video_type,upload_dt,upload_type,video_duration,tag");
    scores.add(
        "user_id,video_id,time_ms,date,p_is_click,p_long_view,p_valid10,p_finish,p_is_like,"
            + "p_is_follow,p_is_comment,p_is_forward,p_is_profile_enter,p_is_hate,p_log1p_play_s");
    SplittableRandom random = new SplittableRandom(11);
    for (int user = 0; user < USERS; user++) {
      addUser(user, random);
    }
    for (int video = 0; video < 30; video++) {
      videos.add(video + ",7,NORMAL,2022-04-10,Web,30000.0,\"" + video % 5 + ",9\"");
    }
  }

  private void addUser(int user, SplittableRandom random) {
    int id = 10 * user + 3;
    users.add(
        id
            + ",high_active,0,-124,1,514,500+,150,\"[100,1k)\",34,\"[30,60)\",799,730+"
            + ",1,1,29,949,1.0,0,0,14,135,6,3,0,,1.0,0.0,0.0,0.0,0.0");
    for (int i = 0; i < EARLY + SERVED; i++) {
      boolean late = i >= EARLY;
      int day = late ? 3 + i % 2 : 1 + i % 2;
      long time = 1_651_334_400_000L + day * 86_400_000L + i * 60_000L + user;
      int video = random.nextInt(30);
      double p = random.nextDouble();
      boolean valid = random.nextDouble() < p;
      int play = (valid ? 10_001 : 1) + (user * (EARLY + SERVED) + i);
      String key = id + "," + video + ",";
      (late ? lateLog : earlyLog)
          .add(
              key
                  + "2022050"
                  + day
                  + ",1200,"
                  + time
                  + ",1,"
                  + (i % 3 == 0 ? 1 : 0)
                  + ",0,0,0,0,0,"
                  + play
                  + ",30000,0,0,0,0,1");
      if (late) {
        scores.add(
            key
                + time
                + ",2022050"
                + day
                + ",0.5,0.3,"
                + p
                + ",0.1,0.01,0.001,0.001,0.001,0.01,0.001,"
                + 2 * p);
      }
    }
  }

  /** Writes all files, plain. */
  Path write(Path folder) throws IOException {
    writeWithoutScores(folder);
    plain(folder, "mtl_scores_20220503_20220504.csv", scores);
    return folder;
  }

  Path writeWithoutScores(Path folder) throws IOException {
    plain(folder, "log_standard_4_08_to_4_21_pure.csv", earlyLog);
    plain(folder, "log_standard_4_22_to_5_08_pure.csv", lateLog);
    plain(folder, "log_random_4_22_to_5_08_pure.csv", List.of("not,read"));
    plain(folder, "user_features_pure.csv", users);
    plain(folder, "video_features_basic_pure.csv", videos);
    plain(folder, "video_features_statistic_pure.csv", List.of("not,read"));
    return folder;
  }

  /** Writes all files as gzip. */
  Path writeGzip(Path folder) throws IOException {
    gzip(folder, "log_standard_4_08_to_4_21_pure.csv.gz", earlyLog);
    gzip(folder, "log_standard_4_22_to_5_08_pure.csv.gz", lateLog);
    gzip(folder, "user_features_pure.csv.gz", users);
    gzip(folder, "video_features_pure.csv.gz", videos);
    gzip(folder, "mtl_scores.csv.gz", scores);
    return folder;
  }

  static void plain(Path folder, String name, List<String> lines) throws IOException {
    Files.write(folder.resolve(name), lines);
  }

  static void gzip(Path folder, String name, List<String> lines) throws IOException {
    try (OutputStream out = new GZIPOutputStream(Files.newOutputStream(folder.resolve(name)))) {
      out.write((String.join("\n", lines) + "\n").getBytes(StandardCharsets.UTF_8));
    }
  }
}
