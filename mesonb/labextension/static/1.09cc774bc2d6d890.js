"use strict";(self.rspackChunkmesonb=self.rspackChunkmesonb||[]).push([[1],{20(e,o,r){var t=r(21),n=r.n(t),a=r(22),i=(r.n(a))()(n());i.push([e.id,`/* What the extension adds to JupyterLab; colours are the theme's. The board brings its own style. */

.mesonb-sidebar,
.mesonb-tab {
  background: var(--jp-layout-color1);
  color: var(--jp-ui-font-color1);
  font-family: var(--jp-ui-font-family);
  font-size: var(--jp-ui-font-size1);
  overflow: auto;
}

.mesonb-caption {
  margin: 0;
  padding: 8px 12px;
  border-bottom: 1px solid var(--jp-border-color2);
  color: var(--jp-ui-font-color1);
  font-size: var(--jp-ui-font-size1);
  font-weight: 600;
  overflow: hidden;
  text-overflow: ellipsis;
  white-space: nowrap;
}

.mesonb-reason {
  margin: 0;
  padding: 10px 12px 6px;
  color: var(--jp-ui-font-color2);
  line-height: 1.45;
}

.mesonb-code {
  margin: 4px 12px 8px;
  padding: 8px 10px;
  border: 1px solid var(--jp-border-color2);
  border-radius: 4px;
  background: var(--jp-layout-color2);
  color: var(--jp-ui-font-color1);
  font-family: var(--jp-code-font-family);
  font-size: var(--jp-code-font-size);
}

.mesonb-sidebar .mesonb-code + button {
  margin-left: 12px;
}

.mesonb-list {
  list-style: none;
  margin: 0;
  padding: 4px 0;
}

.mesonb-list li {
  display: flex;
  flex-wrap: wrap;
  align-items: center;
  gap: 2px 4px;
  padding: 4px 8px;
  border-left: 3px solid transparent;
}

.mesonb-open {
  display: flex;
  flex: 0 1 100%;
  flex-wrap: wrap;
  align-items: center;
  gap: 4px;
  padding-left: 6px;
  color: var(--jp-ui-font-color2);
}

.mesonb-list li.mesonb-mod-chosen {
  border-left-color: var(--jp-brand-color1);
  background: var(--jp-layout-color2);
}

/* on the darker ground of the chosen one */
.mesonb-mod-chosen :is(.mesonb-open, .mesonb-counts) {
  color: var(--jp-ui-font-color1);
}

.mesonb-counts {
  flex: 1;
  text-align: right;
  color: var(--jp-ui-font-color2);
  font-variant-numeric: tabular-nums;
  white-space: nowrap;
}

.mesonb-button {
  padding: 1px 8px;
  border: 1px solid var(--jp-border-color1);
  border-radius: 4px;
  background: none;
  color: var(--jp-ui-font-color1);
  font: inherit;
  cursor: pointer;
}

.mesonb-button:hover {
  border-color: var(--jp-brand-color1);
  background: var(--jp-layout-color3);
}

.mesonb-name {
  border-color: transparent;
  padding: 1px 6px;
  font-weight: 600;
}

.mesonb-button:focus-visible,
.mesonb-status button:focus-visible {
  outline: 2px solid var(--jp-brand-color1);
  outline-offset: -1px;
}

.mesonb-tab {
  display: flex;
  flex-direction: column;
}

.mesonb-tab .mesonb-view {
  flex: 1;
  min-height: 0;
}

.mesonb-view > .mesonb {
  margin: 0;
  border-width: 1px 0 0;
  border-radius: 0;
}

.mesonb-frame {
  display: block;
  width: 100%;
  height: 100%;
  min-height: 320px;
  border: 0;
  color-scheme: light; /* as the page inside, whatever the theme: else a browser paints it white where it is empty */
}

.mesonb-status button {
  height: 100%;
  padding: 0 6px;
  border: 0;
  background: none;
  color: inherit;
  font: inherit;
  font-variant-numeric: tabular-nums;
  cursor: pointer;
}

.mesonb-status button:hover {
  background: var(--jp-layout-color3);
}
`,""]),r.d(o,{},{A:i})},22(e){e.exports=function(e){var o=[];return o.toString=function(){return this.map(function(o){var r="",t=void 0!==o[5];return o[4]&&(r+="@supports (".concat(o[4],") {")),o[2]&&(r+="@media ".concat(o[2]," {")),t&&(r+="@layer".concat(o[5].length>0?" ".concat(o[5]):""," {")),r+=e(o),t&&(r+="}"),o[2]&&(r+="}"),o[4]&&(r+="}"),r}).join("")},o.i=function(e,r,t,n,a){"string"==typeof e&&(e=[[null,e,void 0]]);var i={};if(t)for(var s=0;s<this.length;s++){var c=this[s][0];null!=c&&(i[c]=!0)}for(var p=0;p<e.length;p++){var l=[].concat(e[p]);t&&i[l[0]]||(void 0!==a&&(void 0===l[5]||(l[1]="@layer".concat(l[5].length>0?" ".concat(l[5]):""," {").concat(l[1],"}")),l[5]=a),r&&(l[2]&&(l[1]="@media ".concat(l[2]," {").concat(l[1],"}")),l[2]=r),n&&(l[4]?(l[1]="@supports (".concat(l[4],") {").concat(l[1],"}"),l[4]=n):l[4]="".concat(n)),o.push(l))}},o}},21(e){e.exports=function(e){return e[1]}},13(e,o,r){r.r(o);var t=r(14),n=r.n(t),a=r(15),i=r.n(a),s=r(16),c=r.n(s),p=r(17),l=r.n(p),u=r(18),d=r.n(u),f=r(19),b=r.n(f),m=r(20),v={};v.styleTagTransform=b(),v.setAttributes=l(),v.insert=c().bind(null,"head"),v.domAPI=i(),v.insertStyleElement=d(),n()(m.A,v);let h=m.A&&m.A.locals?m.A.locals:void 0;r.d(o,{},{default:h})},14(e){var o=[];function r(e){for(var r=-1,t=0;t<o.length;t++)if(o[t].identifier===e){r=t;break}return r}function t(e,t){for(var n={},a=[],i=0;i<e.length;i++){var s=e[i],c=t.base?s[0]+t.base:s[0],p=n[c]||0,l="".concat(c," ").concat(p);n[c]=p+1;var u=r(l),d={css:s[1],media:s[2],sourceMap:s[3],supports:s[4],layer:s[5]};if(-1!==u)o[u].references++,o[u].updater(d);else{var f=function(e,o){var r=o.domAPI(o);return r.update(e),function(o){o?(o.css!==e.css||o.media!==e.media||o.sourceMap!==e.sourceMap||o.supports!==e.supports||o.layer!==e.layer)&&r.update(e=o):r.remove()}}(d,t);t.byIndex=i,o.splice(i,0,{identifier:l,updater:f,references:1})}a.push(l)}return a}e.exports=function(e,n){var a=t(e=e||[],n=n||{});return function(e){e=e||[];for(var i=0;i<a.length;i++){var s=r(a[i]);o[s].references--}for(var c=t(e,n),p=0;p<a.length;p++){var l=r(a[p]);0===o[l].references&&(o[l].updater(),o.splice(l,1))}a=c}}},16(e){var o={};e.exports=function(e,r){var t=function(e){if(void 0===o[e]){var r=document.querySelector(e);if(window.HTMLIFrameElement&&r instanceof window.HTMLIFrameElement)try{r=r.contentDocument.head}catch(e){r=null}o[e]=r}return o[e]}(e);if(!t)throw Error("Couldn't find a style target. This probably means that the value for the 'insert' parameter is invalid.");t.appendChild(r)}},18(e){e.exports=function(e){var o=document.createElement("style");return e.setAttributes(o,e.attributes),e.insert(o,e.options),o}},17(e,o,r){e.exports=function(e){var o=r.nc;o&&e.setAttribute("nonce",o)}},15(e){e.exports=function(e){if("u"<typeof document)return{update:function(){},remove:function(){}};var o=e.insertStyleElement(e);return{update:function(r){var t,n,a;t="",r.supports&&(t+="@supports (".concat(r.supports,") {")),r.media&&(t+="@media ".concat(r.media," {")),(n=void 0!==r.layer)&&(t+="@layer".concat(r.layer.length>0?" ".concat(r.layer):""," {")),t+=r.css,n&&(t+="}"),r.media&&(t+="}"),r.supports&&(t+="}"),(a=r.sourceMap)&&"u">typeof btoa&&(t+="\n/*# sourceMappingURL=data:application/json;base64,".concat(btoa(unescape(encodeURIComponent(JSON.stringify(a))))," */")),e.styleTagTransform(t,o,e.options)},remove:function(){var e;null===(e=o).parentNode||e.parentNode.removeChild(e)}}}},19(e){e.exports=function(e,o){if(o.styleSheet)o.styleSheet.cssText=e;else{for(;o.firstChild;)o.removeChild(o.firstChild);o.appendChild(document.createTextNode(e))}}}}]);