package org.unifiedrl.mtf;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.codeUnits;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;

import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.domain.JavaCodeUnit;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.lang.ArchCondition;
import com.tngtech.archunit.lang.ConditionEvents;
import com.tngtech.archunit.lang.SimpleConditionEvent;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** A layer knows only the layers under it: command line, recommender domain, engine. */
class LayersTest {

  private static final JavaClasses CLASSES =
      new ClassFileImporter()
          .withImportOption(new ImportOption.DoNotIncludeTests())
          .importPackages("org.unifiedrl");

  @Test
  void theEngineKnowsNothingAboveIt() {
    noClasses()
        .that()
        .resideInAPackage("org.unifiedrl.engine..")
        .should()
        .dependOnClassesThat()
        .resideInAnyPackage("org.unifiedrl.mtf..", "org.unifiedrl.cli..")
        .check(CLASSES);
  }

  @Test
  void theDomainKnowsNothingOfTheCommandLineOrOfHttp() {
    noClasses()
        .that()
        .resideInAPackage("org.unifiedrl.mtf..")
        .should()
        .dependOnClassesThat()
        .resideInAnyPackage(
            "org.unifiedrl.cli..",
            "org.unifiedrl.data..",
            "org.unifiedrl.export..",
            "org.unifiedrl.kafka..",
            "org.unifiedrl.report..",
            "org.unifiedrl.serve..",
            "picocli..",
            "org.duckdb..",
            "org.eclipse.jetty..",
            "io.micrometer..",
            "com.google.protobuf..")
        .check(CLASSES);
  }

  @Test
  void theEngineHasNoWordOfTheRecommender() {
    noClasses()
        .that()
        .resideInAPackage("org.unifiedrl.engine..")
        .should()
        .haveNameMatching("(?i).*(fusion|recommend|explor|candidate|exposure|rollout|user).*")
        .check(CLASSES);
  }

  @Test
  void environmentsKnowNothingOfWhatIsTriedInThem() {
    noClasses()
        .that()
        .resideInAPackage("org.unifiedrl.mtf.session..")
        .should()
        .dependOnClassesThat()
        .resideInAnyPackage(
            "org.unifiedrl.mtf.baseline..",
            "org.unifiedrl.mtf.evaluation..",
            "org.unifiedrl.mtf.experiment..")
        .check(CLASSES);
  }

  @Test
  void nothingButTheBindingTouchesJavaCpp() {
    noClasses()
        .that()
        .doNotHaveFullyQualifiedName("org.unifiedrl.engine.Native")
        .and()
        .doNotHaveFullyQualifiedName("org.unifiedrl.engine.NativeLibraries")
        .should()
        .dependOnClassesThat()
        .resideInAPackage("org.bytedeco..")
        .check(CLASSES);
  }

  @Test
  void theEngineShowsNoTypeOfAgronaJavaCppOrFlatbuffers() {
    codeUnits()
        .that()
        .areDeclaredInClassesThat()
        .resideInAPackage("org.unifiedrl.engine..")
        .and()
        .areDeclaredInClassesThat()
        .arePublic()
        .and()
        .arePublic()
        .should(showOnlyOwnTypes())
        .check(CLASSES);
  }

  private static ArchCondition<JavaCodeUnit> showOnlyOwnTypes() {
    return new ArchCondition<>("have no type of Agrona, JavaCPP or flatbuffers in its signature") {
      @Override
      public void check(JavaCodeUnit unit, ConditionEvents events) {
        Stream<JavaClass> shown =
            Stream.concat(unit.getRawParameterTypes().stream(), Stream.of(unit.getRawReturnType()));
        shown
            .filter(
                type ->
                    type.getPackageName()
                        .matches("(org\\.agrona|org\\.bytedeco|com\\.google\\.flatbuffers).*"))
            .forEach(
                type ->
                    events.add(
                        SimpleConditionEvent.violated(
                            unit, unit.getFullName() + " shows " + type.getName())));
      }
    };
  }
}
