"""What was installed where a model was registered, as a bill of materials (CycloneDX 1.6)."""

from importlib.metadata import Distribution, distributions
from pathlib import Path

from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import DisjunctiveLicense
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from pneumo_core.atomic import write_text

SBOM = "sbom.cdx.json"


def write(folder: Path, cell: str, bundle_sha256: str) -> None:
    """Write the bill of materials beside a model: every installed package with its licence."""
    model = Component(
        type=ComponentType.MACHINE_LEARNING_MODEL, name=cell, version=bundle_sha256, bom_ref=cell
    )
    bom = Bom(components=[_component(each) for each in installed()])
    bom.metadata.component = model
    bom.register_dependency(model, bom.components)
    write_text(folder / SBOM, JsonV1Dot6(bom).output_as_string(indent=2) + "\n")


def installed() -> list[Distribution]:
    """Return each installed package once, the one that Python imports."""
    found: dict[str, Distribution] = {}
    for each in distributions():
        found.setdefault(each.name.lower(), each)
    return [found[name] for name in sorted(found)]


def licence(package: Distribution) -> str:
    """Return the licence that a package states, in whichever of the fields it states it."""
    stated = package.metadata.json
    classifiers = [text for text in stated.get("classifier", ()) if text.startswith("License")]
    named = {text.rpartition(" :: ")[2] for text in classifiers} - {"OSI Approved"}
    text = str(stated.get("license") or "UNKNOWN").strip().splitlines()[0]
    return str(stated.get("license_expression") or ", ".join(sorted(named)) or text)


def _component(package: Distribution) -> Component:
    purl = PackageURL("pypi", name=package.name.lower(), version=package.version)
    return Component(
        type=ComponentType.LIBRARY,
        name=package.name,
        version=package.version,
        purl=purl,
        bom_ref=purl.to_string(),
        licenses=[DisjunctiveLicense(name=licence(package))],
    )
