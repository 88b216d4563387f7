class Aiw < Formula
  desc "{{SUMMARY}}"
  homepage "{{HOMEPAGE}}"
  version "{{VERSION}}"
  license any_of: ["MIT", "Apache-2.0"]
{{SYSTEMS}}

  def install
    bin.install "{{PROGRAM}}"
    man1.install Dir["man/*.1.gz"]
    bash_completion.install "completions/aiw.bash" => "aiw"
    zsh_completion.install "completions/_aiw"
    fish_completion.install "completions/aiw.fish"
    doc.install "{{LICENCES}}", "aiw.cdx.json"
  end

  test do
    assert_match version.to_s, shell_output("#{bin}/{{PROGRAM}} --version")
  end
end
