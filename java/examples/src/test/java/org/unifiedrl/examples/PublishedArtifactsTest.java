package org.unifiedrl.examples;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.module.ModuleDescriptor;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import javax.xml.parsers.DocumentBuilderFactory;
import javax.xml.xpath.XPath;
import javax.xml.xpath.XPathConstants;
import javax.xml.xpath.XPathFactory;
import org.junit.jupiter.api.Test;
import org.w3c.dom.Document;
import org.w3c.dom.NodeList;

/** What a module must bring to be published as others are. */
class PublishedArtifactsTest {

  private static final Path ROOT = Path.of(System.getProperty("unifiedrl.root"));

  /** Programs and what is no jar. */
  private static final Set<String> NO_LIBRARIES =
      Set.of("java/cli", "java/bom", "java/examples", "bench");

  private static final XPath XPATH = XPathFactory.newInstance().newXPath();

  private static Document pom(String folder) throws Exception {
    return DocumentBuilderFactory.newInstance()
        .newDocumentBuilder()
        .parse(ROOT.resolve(folder).resolve("pom.xml").toFile());
  }

  private static List<String> texts(Document pom, String path) throws Exception {
    NodeList nodes = (NodeList) XPATH.evaluate(path, pom, XPathConstants.NODESET);
    List<String> texts = new ArrayList<>();
    for (int i = 0; i < nodes.getLength(); i++) {
      texts.add(nodes.item(i).getTextContent().strip());
    }
    return texts;
  }

  @Test
  void theBillOfMaterialsListsEveryLibraryAndItsClassifiers() throws Exception {
    List<String> libraries = new ArrayList<>();
    for (String module : texts(pom("."), "/project/modules/module")) {
      if (!NO_LIBRARIES.contains(module)) {
        libraries.addAll(texts(pom(module), "/project/artifactId"));
      }
    }
    Document bom = pom("java/bom");
    assertThat(texts(bom, "//dependencyManagement//dependency[not(classifier)]/artifactId"))
        .contains("unifiedrl-engine", "unifiedrl-mtf")
        .containsExactlyInAnyOrderElementsOf(libraries);
    assertThat(texts(bom, "//dependency/classifier"))
        .containsExactly("linux-x86_64", "linux-x86_64-cuda");
    assertThat(texts(bom, "//dependency/version")).containsOnly("${project.version}");
    assertThat(texts(bom, "/project/version")).isEqualTo(texts(pom("."), "/project/version"));
  }

  @Test
  void everyJarHasAModuleNameOfItsOwn() throws Exception {
    List<String> names = new ArrayList<>();
    for (String module : texts(pom("."), "/project/modules/module")) {
      if (!module.equals("java/bom")) {
        List<String> name = texts(pom(module), "/project/properties/unifiedrl.module");
        assertThat(name).as(module + "/pom.xml: property unifiedrl.module").hasSize(1);
        assertThat(ModuleDescriptor.newAutomaticModule(name.get(0)).build().name())
            .startsWith("org.unifiedrl.");
        names.addAll(name);
      }
    }
    assertThat(names).doesNotHaveDuplicates();
  }
}
